// Host addresses that are not memory: an MSI doorbell, another device's BAR.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace swiommu {

// What answers DMA to such a range. Called from the thread that does the DMA, from several at once, and with no guard held,
// so it may take locks, wait, and call back into the library; but not add or remove device ranges.
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
};

}  // namespace swiommu
