// Which iovas may be mapped (those that nobody reserved), and where iovas are allocated (in the allowed ranges).
#pragma once
#include <span>
#include <vector>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/memory/range_counts.h"

namespace swiommu {

// Reserved and allowed ranges never meet. Every error leaves everything as it was. No locking.
class IovaReservations {
 public:
  using Owner = void const*;  // only compared

  // EADDRINUSE: meets an allowed range; EINVAL: ends before it starts; ENOMEM.
  Result<void> reserve(std::span<Range const> ranges, Owner owner);
  // All that `owner` reserved. Never allocates.
  void release(Owner owner) noexcept;

  // Replaces the list. EADDRINUSE: meets a reserved range; EINVAL: ends before it starts, overlaps another; ENOMEM.
  Result<void> allow(std::span<Range const> ranges);

  // Is anything in the range reserved? In O(log n).
  [[nodiscard]] bool reserved(Range range) const { return counts_.overlaps(range); }

  // Everything that is not reserved, ascending. ENOMEM.
  [[nodiscard]] Result<std::vector<Range>> usable() const;

  // Calls `visit` for the ranges to allocate from, ascending, until it returns true; returns whether it did. Nothing that is
  // reserved is in them; neighbouring allowed ranges are joined.
  bool visit_windows(Range within, FunctionRef<bool(Range)> visit) const;

 private:
  struct Reservation {
    Range range;
    Owner owner;
  };
  RangeCounts counts_;  // of list_
  std::vector<Reservation> list_;
  std::vector<Range> allowed_;  // ascending, disjoint
};

}  // namespace swiommu
