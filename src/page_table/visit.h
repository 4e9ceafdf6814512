// Visiting: all leaves of a range, in order of their inputs.
#pragma once
#include "page_table/descent.h"
#include "page_table/format.h"
#include "page_table/table_memory.h"
#include "swiommu/base/range.h"
#include "swiommu/page_table/leaf.h"

namespace swiommu {

template <PageTableFormat F, TableReader<typename F::Entry> M, class Visit>
class LeafVisit {
 public:
  using Entry = typename F::Entry;

  // `visit(Leaf const&)` returns false to stop.
  LeafVisit(F const& format, M& memory, Visit& visit, VisitLimit& limit)
      : format_(format), memory_(memory), visit_(visit), limit_(limit) {}

  // False if it was stopped. Tables that cannot be reached and malformed entries are passed over. Each item is looked at
  // on its own, as a walker does: a run that somebody wrote wrongly shows as what its items say. However the tables point
  // at each other, the depth is bounded by the number of levels and the work by the budget.
  bool run(unsigned level, std::uint64_t table, Range range, Access rights) {
    Geometry const& g = format_.geometry();
    for (std::uint64_t at = range.start;;) {
      std::uint64_t const i = g.index(level, at);
      std::uint64_t const last = std::min(g.item(level, at).last, range.last);
      if (limit_.words == 0) {
        limit_.next = at;
        return false;
      }
      limit_.words--;
      auto const e = memory_.template load<Entry>(table, i);
      if (!e) {
        // A table lies in one piece of memory or in several: skip the item, not the table.
        if (last == range.last) return true;
        at = last + 1;
        continue;
      }
      EntryKind const kind = format_.kind(*e, level);
      if (kind == EntryKind::leaf && !leaf(*e, level, {at, last}, rights)) return false;
      if (kind == EntryKind::table && !descend(*e, level, {at, last}, rights)) return false;
      if (last == range.last) return true;
      at = last + 1;
    }
  }

 private:
  bool leaf(Entry e, unsigned level, Range range, Access rights) {
    limit_.next = range.start;  // if this is where it is stopped
    unsigned const lg2 = format_.leaf_size_lg2(e, level, range.start);
    Attributes attributes = format_.attributes(e, level);
    attributes.access = attributes.access & rights;
    return visit_(Leaf{.range = range,
                       .output = format_.leaf_address(e, level, range.start) | (range.start & low_bits(lg2)),
                       .attributes = attributes,
                       .size_lg2 = static_cast<std::uint8_t>(lg2),
                       .level = static_cast<std::uint8_t>(level)});
  }

  bool descend(Entry e, unsigned level, Range range, Access rights) {
    if constexpr (CombinesRights<F>) rights = rights & format_.table_rights(e, level);
    return for_each_part_below(format_, e, level, range, [&](Range part) {
      return run(child_level(format_, e, level), format_.table_address(e, level), part, rights);
    });
  }

  F const& format_;
  M& memory_;
  Visit& visit_;
  VisitLimit& limit_;
};

}  // namespace swiommu
