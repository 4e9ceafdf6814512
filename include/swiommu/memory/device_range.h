// Host addresses that are not memory: an MSI doorbell, another device's BAR.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "swiommu/base/range.h"

namespace swiommu {

// What answers DMA to such a range. Called from the thread that does the DMA, from several at once, and with no guard held,
// so it may take locks, wait, and call back into the library; but not add or remove device ranges.
//
// A call is like a posted write that has left the IOMMU: no unmap, detach or invalidation waits for it, because it may itself
// wait for whoever makes that change. HostAddressSpace::remove_device_range waits for all calls that are on their way.
class DeviceRange {
 public:
  DeviceRange() = default;
  DeviceRange(DeviceRange const&) = delete;
  DeviceRange& operator=(DeviceRange const&) = delete;
  virtual ~DeviceRange() = default;

  // `offset` is in bytes from the start of the range; offset + size stays inside it. False: the device refuses, which the
  // initiator sees as a fault.
  virtual bool read(std::uint64_t offset, std::span<std::byte> to) = 0;
  virtual bool write(std::uint64_t offset, std::span<std::byte const> from) = 0;

  // Is a call on its way, or made?
  [[nodiscard]] bool in_use() const { return calls_.load(std::memory_order_acquire) != 0; }

 private:
  friend class FoundDevice;
  std::atomic<std::uint32_t> calls_ = 0;
};

// The device range that holds an address, if there is one. While it exists, the device cannot go.
class FoundDevice {
 public:
  FoundDevice() = default;
  FoundDevice(Range range, DeviceRange& device) : range_(range), device_(&device) {
    device.calls_.fetch_add(1, std::memory_order_relaxed);  // under the lock that finds it, or beside another one
  }
  FoundDevice(FoundDevice&& other) noexcept : range_(other.range_), device_(std::exchange(other.device_, nullptr)) {}
  FoundDevice& operator=(FoundDevice&& other) noexcept {
    std::swap(range_, other.range_);
    std::swap(device_, other.device_);
    return *this;
  }
  // The last that is done with the device, which may be gone then.
  ~FoundDevice() {
    if (device_ != nullptr) device_->calls_.fetch_sub(1, std::memory_order_release);
  }

  [[nodiscard]] explicit operator bool() const { return device_ != nullptr; }
  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] DeviceRange* device() const { return device_; }

 private:
  Range range_;
  DeviceRange* device_ = nullptr;
};

}  // namespace swiommu
