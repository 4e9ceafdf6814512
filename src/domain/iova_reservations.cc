#include "domain/iova_reservations.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sabotage.h"
#include "domain/undo.h"

namespace swiommu {
namespace {

Result<void> check_order(Range range) {
  if (range.start <= range.last) return {};
  return fail(EINVAL, fmt::format("the range {:#x}-{:#x} ends before it starts", range.start, range.last));
}

}  // namespace

Result<void> IovaReservations::reserve(std::span<Range const> ranges, Owner owner) {
  if (sabotaged("reserved-iovas-ignored")) return {};
  return guarded([&]() -> Result<void> {
    for (Range const range : ranges) {
      SWIOMMU_TRY(check_order(range));
      for (Range const allowed : allowed_) {
        if (allowed.overlaps(range))
          return fail(EADDRINUSE, fmt::format("iovas {:#x}-{:#x} to reserve meet the allowed {:#x}-{:#x}", range.start,
                                              range.last, allowed.start, allowed.last));
      }
    }
    list_.reserve(list_.size() + ranges.size());
    std::size_t added = 0;
    Undo back([&] {
      while (added > 0) counts_.remove(ranges[--added]);
    });
    for (; added < ranges.size(); ++added) SWIOMMU_TRY(counts_.add(ranges[added]));
    for (Range const range : ranges) list_.push_back({range, owner});
    back.keep();
    return {};
  });
}

void IovaReservations::release(Owner owner) noexcept {
  std::erase_if(list_, [&](Reservation const& reservation) {
    if (reservation.owner != owner) return false;
    counts_.remove(reservation.range);
    return true;
  });
}

Result<void> IovaReservations::allow(std::span<Range const> ranges) {
  return guarded([&]() -> Result<void> {
    for (Range const range : ranges) SWIOMMU_TRY(check_order(range));
    std::vector<Range> sorted(ranges.begin(), ranges.end());
    std::ranges::sort(sorted, {}, &Range::start);
    for (std::size_t i = 1; i < sorted.size(); i++) {
      if (sorted[i - 1].overlaps(sorted[i]))
        return fail(EINVAL, fmt::format("the ranges to allow {:#x}-{:#x} and {:#x}-{:#x} overlap", sorted[i - 1].start,
                                        sorted[i - 1].last, sorted[i].start, sorted[i].last));
    }
    for (Range const range : ranges) {
      if (reserved(range))
        return fail(EADDRINUSE, fmt::format("iovas {:#x}-{:#x} to allow are reserved, or some of them", range.start, range.last));
    }
    if (!sabotaged("allowed-iovas-ignored")) allowed_ = std::move(sorted);
    return {};
  });
}

Result<std::vector<Range>> IovaReservations::usable() const {
  return guarded([&]() -> Result<std::vector<Range>> {
    std::vector<Range> ranges;
    SWIOMMU_TRY(
        counts_.for_each_gap(Range::all(), [&](Range gap) -> Result<void> { return ranges.push_back(gap), Result<void>(); }));
    return ranges;
  });
}

bool IovaReservations::visit_windows(Range within, FunctionRef<bool(Range)> visit) const {
  for (std::size_t i = 0; i < allowed_.size();) {
    Range joined = allowed_[i++];
    while (i < allowed_.size() && joined.last + 1 == allowed_[i].start) joined.last = allowed_[i++].last;
    auto const window = joined.intersection(within);
    if (window && visit(*window)) return true;
  }
  if (!allowed_.empty()) return false;
  // An error is the way to stop; one with no text allocates nothing.
  return !counts_.for_each_gap(within, [&](Range gap) -> Result<void> {
    if (visit(gap)) return fail(ECANCELED, std::string());
    return {};
  });
}

}  // namespace swiommu
