// The host that a model is plugged into: memory, an IOMMU's domain over it, and a slot.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/vfio/device_model.h"
#include "thread_sanitizer.h"

namespace swiommu::vfio {

inline constexpr std::uint64_t page = 4096;

// Waits until `done` says so; false if that takes too long.
inline bool eventually(auto&& done) {
  auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// Mapped twice, as a host's memory is by a driver and by the device: TSan, which goes by addresses, cannot see that registers
// that are written through a mapping order the accesses of both.
class MirroredMemory final : public MemoryView {
 public:
  explicit MirroredMemory(std::uint64_t pages) : bytes_(pages * page) {
    EXPECT_EQ(::ftruncate(file_, static_cast<off_t>(bytes_)), 0);
    for (auto** each : {&driver_, &device_})
      *each = static_cast<std::byte*>(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0));
  }
  ~MirroredMemory() override {
    ::munmap(driver_, bytes_);
    ::munmap(device_, bytes_);
    ::close(file_);
  }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::byte* data(std::uint64_t at) const { return driver_ + at; }
  // The driver has seen what the device published there; this orders, for TSan too, what the device's other threads do after
  // the driver's next call. Nothing tells it of a store to mapped registers: there, each thread of the device has its own pages.
  void published(std::uint64_t at) const { now_sees(device_ + at); }
  [[nodiscard]] Chunk locate(std::uint64_t address, Access) const override {
    if (address < start || address - start >= bytes_) return {};
    return {device_ + (address - start), bytes_ - (address - start)};
  }
  static constexpr std::uint64_t start = std::uint64_t{1} << 32;

 private:
  std::uint64_t const bytes_;
  int const file_ = ::memfd_create("host memory", MFD_CLOEXEC);
  std::byte *driver_ = nullptr, *device_ = nullptr;
};

class FakeSlot final : public Slot {
 public:
  explicit FakeSlot(std::shared_ptr<Device> device) : device_(std::move(device)) {}
  Result<std::unique_ptr<Port>> open_port() override { return device_->open_port(); }
  [[nodiscard]] bool bus_master() const noexcept override { return master.load(); }
  void raise(unsigned vector) noexcept override {
    inside.store(true);
    while (held.load()) std::this_thread::yield();
    Lock const lock(mutex_);
    raised_[vector]++;
  }
  void set_line(bool asserted) noexcept override { line.store(asserted); }
  void report(FaultRecord const& fault) noexcept override {
    Lock const lock(mutex_);
    faults_.push_back(fault);
  }
  [[nodiscard]] unsigned raised(unsigned vector) {
    Lock const lock(mutex_);
    return raised_[vector];
  }
  [[nodiscard]] std::vector<FaultRecord> faults() {
    Lock const lock(mutex_);
    return faults_;
  }
  std::atomic<bool> master = true, line = false;
  std::atomic<bool> held = false, inside = false;  // raise() does not return; it has been called

 private:
  std::shared_ptr<Device> const device_;
  Mutex mutex_;
  std::map<unsigned, unsigned> raised_ SWIOMMU_GUARDED_BY(mutex_);
  std::vector<FaultRecord> faults_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::vfio
