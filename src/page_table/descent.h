// Where a table entry leads, in formats that skip levels or have partial tables too: there, some inputs under the entry are
// not translated at all.
#pragma once
#include <cstdint>

#include "page_table/plain_steps.h"
#include "swiommu/base/range.h"

namespace swiommu {

// The level of the table that `e`, met at `level`, names.
template <PageTableFormat F>
constexpr unsigned child_level(F const& f, typename F::Entry e, unsigned level) {
  if constexpr (SkipsLevels<F>) return f.next_level(e, level);
  return level - 1;
}

// The inputs under one item of `level` that holds `e` for which the entry leads on: those whose skipped bits are zero.
template <PageTableFormat F>
constexpr Range inputs_below(F const& f, typename F::Entry e, unsigned level, std::uint64_t input) {
  Range const item = f.geometry().item(level, input);
  if constexpr (SkipsLevels<F>) return Range::block(item.start, f.geometry().level[f.next_level(e, level) + 1].shift);
  return item;
}

// Calls `body(Range)` for the parts of `range`, which lies under one item of `level` that holds `e`, for which there are
// items in the next table, until it returns false; returns whether it never did.
template <PageTableFormat F, class Body>
constexpr bool for_each_part_below(F const& f, typename F::Entry e, unsigned level, Range range, Body const& body) {
  if constexpr (!SkipsLevels<F> && !HasPartialTables<F>) return body(range);
  auto const part = inputs_below(f, e, level, range.start).intersection(range);
  if (!part) return true;
  if constexpr (HasPartialTables<F>) {
    auto const held = f.held_items(e, level);
    if (!held) return true;
    unsigned const next = child_level(f, e, level), shift = f.geometry().level[next].shift;
    std::uint64_t const table = f.geometry().table(next, part->start).start;
    auto const there =
        Range{table + (held->start << shift), (table + (held->last << shift)) | low_bits(shift)}.intersection(*part);
    return !there || body(*there);
  }
  return body(*part);
}

// Does the entry lead on for all of `range`?
template <PageTableFormat F>
constexpr bool leads_on(F const& f, typename F::Entry e, unsigned level, Range range) {
  if constexpr (!SkipsLevels<F> && !HasPartialTables<F>) return true;
  bool all = false;
  for_each_part_below(f, e, level, range, [&](Range part) { return all = part == range; });
  return all;
}

// A table of the tree, and the level of its items.
struct TablePlace {
  unsigned level;
  std::uint64_t table;
};

// The lowest table, from `from` on, under which all of `range` lies, but not where the range is all that one item covers: such an
// item may become a leaf, or empty. While nobody else changes what is in the range the table stays linked.
template <PageTableFormat F, class M>
TablePlace lowest_table(F const& f, PlainSteps<typename F::Entry> const& steps, M& memory, TablePlace from, Range range) {
  std::uint64_t const differing = range.start ^ range.last;
  // An item must cover more than 2^covered bytes.
  unsigned covered = differing == 0 ? 0 : log2_floor(differing) + 1;
  if (covered != 0 && Range::block(range.start, covered) != range) covered--;
  while (from.level > 0 && steps[from.level].shift > covered) {
    auto const& step = steps[from.level];
    typename F::Entry e = 0;
    if (!memory.template fetch<typename F::Entry>(from.table, step.index(range.start), e)) break;
    if (step.passes(e)) {
      from = {from.level - 1, f.table_address(e, from.level)};
      continue;
    }
    if (f.kind(e, from.level) != EntryKind::table || !leads_on(f, e, from.level, range)) break;
    from = {child_level(f, e, from.level), f.table_address(e, from.level)};
  }
  return from;
}

}  // namespace swiommu
