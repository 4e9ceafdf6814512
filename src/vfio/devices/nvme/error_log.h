// The error information log. NVM Express 1.4, 5.14.1.1.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>

#include "swiommu/base/mutex.h"
#include "vfio/devices/nvme/data_page.h"

namespace swiommu::vfio::nvme {

struct ErrorEntry {
  std::uint64_t count = 0;  // numbers the entries, from 1 on
  std::uint16_t submission_queue = 0xffff, command = 0xffff;
  std::uint16_t status_field = 0;
  std::uint16_t parameter = 0xffff;  // where in the command it lies: not known
  std::uint64_t lba = 0;
  std::uint32_t nsid = 0;
};

// Threads: any.
class ErrorLog {
 public:
  static constexpr std::size_t entries = DataPage::bytes / 64;  // Identify's ELPE counts from 0

  void add(ErrorEntry entry) noexcept;
  [[nodiscard]] std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  // The newest is first.
  [[nodiscard]] DataPage page() const;

 private:
  mutable Mutex mutex_;
  std::array<ErrorEntry, entries> entries_ SWIOMMU_GUARDED_BY(mutex_);  // a ring, by their numbers
  std::atomic<std::uint64_t> count_ = 0;
};

}  // namespace swiommu::vfio::nvme
