// One item of a table of our own, filled or emptied: what most calls ask for, and all that they need.
//
// Like put_leaves and clear for a range of one item, without their questions: an item alone cuts nothing, holds no run, and no
// larger leaf fits.
#pragma once
#include <optional>

#include "page_table/descent.h"
#include "page_table/map.h"
#include "page_table/rows.h"

namespace swiommu {

// Does `range` consist of one item of a table of `level`?
template <PageTableFormat F>
bool is_item(F const& f, unsigned level, Range range) {
  std::uint64_t const inside = low_bits(f.geometry().level[level].shift);
  return range.last - range.start == inside && (range.start & inside) == 0;
}

// Makes a leaf of the item, if it is empty. False, with nothing done, if there is more to it.
template <PageTableFormat F, DirectTables<typename F::Entry> M>
bool fill_item(F const& f, M& memory, TablePlace place, Range range, typename Mapper<F, M>::Target const& target) {
  using Entry = typename F::Entry;
  unsigned const level = place.level, lg2 = f.geometry().level[level].shift;
  if (!is_item(f, level, range) || (f.leaf_sizes(level) >> lg2 & 1) == 0) return false;
  if (target.largest_lg2 < lg2 || (target.output & low_bits(lg2)) != 0) return false;
  Entry* const word = memory.template words<Entry>(place.table) + f.geometry().index(level, range.start);
  if (__atomic_load_n(word, __ATOMIC_RELAXED) != f.empty(level)) return false;
  __atomic_store_n(word, f.leaf(target.output, level, lg2, target.attributes), __ATOMIC_RELEASE);
  return true;
}

// Empties the item and returns how many bytes it had mapped. Nothing, with nothing done, if there is more to it.
template <PageTableFormat F, DirectTables<typename F::Entry> M>
std::optional<std::uint64_t> empty_item(F const& f, M& memory, TablePlace place, Range range) {
  using Entry = typename F::Entry;
  unsigned const level = place.level;
  if (!is_item(f, level, range)) return std::nullopt;
  Entry* const word = memory.template words<Entry>(place.table) + f.geometry().index(level, range.start);
  Entry const e = __atomic_load_n(word, __ATOMIC_RELAXED);
  if (e == f.empty(level)) return 0;
  // Of a run it would be a part.
  if (f.kind(e, level) != EntryKind::leaf || f.leaf_size_lg2(e, level, range.start) != f.geometry().level[level].shift)
    return std::nullopt;
  __atomic_store_n(word, f.empty(level), __ATOMIC_RELEASE);
  return range.length();
}

}  // namespace swiommu
