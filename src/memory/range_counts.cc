#include "swiommu/memory/range_counts.h"

#include <algorithm>
#include <iterator>

namespace swiommu {

RangeCounts::Runs::const_iterator RangeCounts::run_at_or_after(std::uint64_t number) const {
  auto run = runs_.upper_bound(number);
  if (run != runs_.begin() && std::prev(run)->second.last >= number) --run;
  return run;
}

void RangeCounts::split_before(std::uint64_t number) {
  auto const after = runs_.lower_bound(number);
  if (after == runs_.begin()) return;
  Run& run = std::prev(after)->second;
  if (run.last < number) return;
  runs_.emplace_hint(after, number, Run{.last = run.last, .count = run.count, .starts = 0, .ends = run.ends});
  run.last = number - 1;
  run.ends = 0;
}

void RangeCounts::join_before(std::uint64_t number) {
  auto const right = runs_.find(number);
  if (right == runs_.end() || right == runs_.begin()) return;
  Run& left = std::prev(right)->second;
  if (left.last != number - 1 || left.ends != 0 || right->second.starts != 0) return;
  left.last = right->second.last;
  left.ends = right->second.ends;
  runs_.erase(right);
}

Range RangeCounts::release_run(std::uint64_t start, Range range) {
  auto const run = runs_.find(start);
  Range const covered{start, run->second.last};
  run->second.starts -= start == range.start;
  run->second.ends -= covered.last == range.last;
  if (--run->second.count == 0) runs_.erase(run);
  return covered;
}

Result<> RangeCounts::add(Range range) {
  auto const next = run_at_or_after(range.start);
  if (next == runs_.end() || next->first > range.last) {  // as mostly: nothing is there
    return guarded([&]() -> Result<> {
      runs_.emplace_hint(next, range.start, Run{.last = range.last, .count = 1, .starts = 1, .ends = 1});
      return {};
    });
  }
  auto const changed = guarded([&]() -> Result<> {
    split_before(range.start);
    if (range.last != Range::all().last) split_before(range.last + 1);
    return for_each_gap(range, [&](Range gap) -> Result<> {
      runs_.emplace(gap.start, Run{.last = gap.last, .count = 0});
      return {};
    });
  });
  for (auto run = runs_.lower_bound(range.start); run != runs_.end() && run->first <= range.last;) {
    if (changed)
      ++(run++)->second.count;
    else
      run = run->second.count == 0 ? runs_.erase(run) : std::next(run);
  }
  if (changed) {
    ++runs_.find(range.start)->second.starts;
    ++std::prev(runs_.upper_bound(range.last))->second.ends;
  } else {
    join_before(range.start);
    if (range.last != Range::all().last) join_before(range.last + 1);
  }
  return changed;
}

std::optional<Range> RangeCounts::run_of(std::uint64_t number) const {
  auto const run = run_at_or_after(number);
  if (run == runs_.end() || run->first > number) return std::nullopt;
  return Range{run->first, run->second.last};
}

std::optional<std::uint64_t> RangeCounts::last_of_run(std::uint64_t number) const {
  auto const run = run_of(number);
  return run ? std::optional(run->last) : std::nullopt;
}

std::optional<std::uint64_t> RangeCounts::next_run(std::uint64_t number) const {
  auto const run = run_at_or_after(number);
  if (run == runs_.end()) return std::nullopt;
  return std::max(run->first, number);
}

bool RangeCounts::overlaps(Range range) const {
  auto const run = run_at_or_after(range.start);
  return run != runs_.end() && run->first <= range.last;
}

}  // namespace swiommu
