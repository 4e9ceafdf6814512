// How many ranges cover each number: a multiset of closed ranges, kept as runs of equal count.
#pragma once
#include <cstdint>
#include <map>
#include <optional>

#include "swiommu/base/range.h"
#include "swiommu/base/result.h"

namespace swiommu {

// Costs grow with the number of distinct ends of the ranges that are in it, not with their length. No locking.
class RangeCounts {
 public:
  // Counts `range` once more. ENOMEM changes nothing.
  Result<> add(Range range);

  // Takes back one add() of exactly this range, and calls `uncovered(Range)` for each part that no range covers any more, in
  // ascending order. Never allocates; `uncovered` must not call back.
  template <class Uncovered>
  void remove(Range range, Uncovered uncovered) {
    if (auto const only = runs_.find(range.start); only->second.last == range.last && only->second.count == 1) {
      runs_.erase(only);
      uncovered(range);
      return;
    }
    for (std::uint64_t start = range.start;;) {
      Range const run = release_run(start, range);
      if (!runs_.contains(run.start)) uncovered(run);
      if (run.last == range.last) break;
      start = run.last + 1;
    }
    join_before(range.start);
    if (range.last != Range::all().last) join_before(range.last + 1);
  }
  void remove(Range range) {
    remove(range, [](Range) {});
  }

  // Calls `gap(Range) -> Result<>` for each part of `range` that nothing covers, in ascending order, until one fails.
  template <class Gap>
  Result<> for_each_gap(Range range, Gap gap) const {
    std::uint64_t next = range.start;
    for (auto run = run_at_or_after(range.start); run != runs_.end() && run->first <= range.last; ++run) {
      if (next < run->first) SWIOMMU_TRY(gap(Range{next, run->first - 1}));
      if (run->second.last >= range.last) return {};
      next = run->second.last + 1;
    }
    return gap(Range{next, range.last});
  }

  // Calls `visit(Range)` for each run of numbers of `range` that are covered alike, in ascending order.
  template <class Visit>
  void for_each_covered(Range range, Visit visit) const {
    for (auto run = run_at_or_after(range.start); run != runs_.end() && run->first <= range.last; ++run)
      visit(*Range{run->first, run->second.last}.intersection(range));
  }

  // The run that covers `number`; nothing if no range does. Numbers on both sides of it may be covered too.
  [[nodiscard]] std::optional<Range> run_of(std::uint64_t number) const;
  // Its last number.
  [[nodiscard]] std::optional<std::uint64_t> last_of_run(std::uint64_t number) const;

  // The first number from `number` on that a range covers.
  [[nodiscard]] std::optional<std::uint64_t> next_run(std::uint64_t number) const;

  // Is any number of `range` covered?
  [[nodiscard]] bool overlaps(Range range) const;

  [[nodiscard]] bool empty() const { return runs_.empty(); }
  [[nodiscard]] std::size_t runs() const { return runs_.size(); }

 private:
  struct Run {
    std::uint64_t last;
    std::uint64_t count;
    // How many of the ranges begin and end with this run. Where none does, two neighbours have the same count and are joined;
    // so the ends of what is to be removed later are always ends of runs, and removing never splits.
    std::uint64_t starts = 0;
    std::uint64_t ends = 0;
  };
  using Runs = std::map<std::uint64_t, Run>;  // by start; disjoint, counts above 0

  [[nodiscard]] Runs::const_iterator run_at_or_after(std::uint64_t number) const;
  void split_before(std::uint64_t number);
  void join_before(std::uint64_t number);
  // Counts the run at `start` down, erases it at 0.
  Range release_run(std::uint64_t start, Range range);

  Runs runs_;
};

}  // namespace swiommu
