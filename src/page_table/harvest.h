// Harvesting: reading, and clearing, accessed or dirty flags over a range.
#pragma once
#include <algorithm>
#include <optional>

#include "page_table/descent.h"
#include "page_table/format.h"
#include "page_table/table_memory.h"
#include "swiommu/base/range.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {

template <PageTableFormat F, TableReader<typename F::Entry> M, class Report>
class Harvest {
 public:
  using Entry = typename F::Entry;

  // `report(Range)` gets each range of inputs whose flag is set, clipped to what was asked for.
  Harvest(F const& format, M& memory, Flag flag, Clear clear, Report& report)
      : format_(format), memory_(memory), flag_(flag), clear_(clear), report_(report) {}

  // The flag of any item speaks for its whole run. A run that the range covers only in part is reported, but not cleared:
  // what is dirty outside the range would be forgotten.
  void run(unsigned level, std::uint64_t table, Range range) {
    Geometry const& g = format_.geometry();
    for (std::uint64_t at = range.start;;) {
      std::uint64_t last = std::min(g.item(level, at).last, range.last);
      auto const e = memory_.template load<Entry>(table, g.index(level, at));
      EntryKind const kind = e ? format_.kind(*e, level) : EntryKind::empty;
      if (kind == EntryKind::table) {
        for_each_part_below(format_, *e, level, {at, last}, [&](Range part) {
          run(child_level(format_, *e, level), format_.table_address(*e, level), part);
          return true;
        });
      } else if (kind == EntryKind::leaf) {
        Range const entry = Range::block(at, format_.leaf_size_lg2(*e, level, at));
        last = std::min(entry.last, range.last);
        if (auto const flagged = harvest_entry(level, table, entry, range)) report_(*flagged->intersection(range));
      }
      if (last == range.last) return;
      at = last + 1;
    }
  }

 private:
  bool is_set(Entry e) const {
    if (flag_ == Flag::dirty) {
      if constexpr (TracksDirty<F>) return format_.is_dirty(e);
    } else {
      if constexpr (TracksAccessed<F>) return format_.is_accessed(e);
    }
    return false;
  }
  Entry without(Entry e) const {
    if (flag_ == Flag::dirty) {
      if constexpr (TracksDirty<F>) return format_.without_dirty(e);
    } else {
      if constexpr (TracksAccessed<F>) return format_.without_accessed(e);
    }
    return e;
  }

  // What the set flags among the items of `entry` speak for, if there are any: the entry, or more if it is just being split and
  // some of its items are still of the larger one.
  std::optional<Range> harvest_entry(unsigned level, std::uint64_t table, Range entry, Range range) {
    Geometry const& g = format_.geometry();
    std::optional<Range> flagged;
    for (std::uint64_t at = entry.start;;) {
      std::uint64_t const i = g.index(level, at);
      auto e = memory_.template load<Entry>(table, i);
      while (e && format_.kind(*e, level) == EntryKind::leaf && is_set(*e)) {
        Range const own = Range::block(at, format_.leaf_size_lg2(*e, level, at));
        if (!flagged) flagged = entry;
        flagged = Range{std::min(flagged->start, own.start), std::max(flagged->last, own.last)};
        bool const clears = clear_ == Clear::yes && range.contains(entry) && range.contains(own);
        Entry const cleared = without(*e);
        if (!clears || memory_.template exchange<Entry>(table, i, *e, cleared) != Exchange::changed) break;
      }
      std::uint64_t const last = g.item(level, at).last;
      if (last >= entry.last) return flagged;
      at = last + 1;
    }
  }

  F const& format_;
  M& memory_;
  Flag flag_;
  Clear clear_;
  Report& report_;
};

}  // namespace swiommu
