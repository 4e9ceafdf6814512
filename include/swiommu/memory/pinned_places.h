// Which parts of our own address space are pinned in place: memory that belongs to somebody who may take it away.
#pragma once
#include <atomic>
#include <cstdint>

#include "swiommu/base/mutex.h"
#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/memory/range_counts.h"

namespace swiommu {

// Ranges are pointers as numbers. Errs on one side: what is not in here is not pinned. Any thread may call, also inside a guard.
class PinnedPlaces {
 public:
  // ENOMEM.
  Result<> add(Range range) {
    Lock const lock(mutex_);
    auto added = ranges_.add(range);
    if (added) count_.fetch_add(1, std::memory_order_seq_cst);
    return added;
  }
  // Takes back one add() of exactly this range.
  void remove(Range range) noexcept {
    Lock const lock(mutex_);
    ranges_.remove(range);
    count_.fetch_sub(1, std::memory_order_relaxed);
  }

  // One load.
  [[nodiscard]] bool empty() const { return count_.load(std::memory_order_relaxed) == 0; }

  [[nodiscard]] bool overlaps(Range range) const {
    if (empty()) return false;
    Lock const lock(mutex_);
    return ranges_.overlaps(range);
  }

 private:
  std::atomic<std::uint64_t> count_ = 0;
  mutable Mutex mutex_;  // nothing else is locked under it
  RangeCounts ranges_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu
