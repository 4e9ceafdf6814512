// Harvesting: reading, and clearing, accessed or dirty flags over a range.
#pragma once
#include <algorithm>
#include <optional>

#include "page_table/descent.h"
#include "page_table/format.h"
#include "page_table/rows.h"
#include "page_table/table_memory.h"
#include "swiommu/base/range.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {

template <PageTableFormat F, TableReader<typename F::Entry> M, class Report>
class Harvest {
 public:
  using Entry = typename F::Entry;

  // `report(Range)` gets the inputs whose flag is set, clipped to what was asked for, those of neighbouring entries together.
  Harvest(F const& format, M& memory, Flag flag, Clear clear, Report& report)
      : format_(format), memory_(memory), flag_(flag), clear_(clear), report_(report) {}

  void run(TablePlace top, Range range) {
    below(top.level, top.table, range);
    if (flagged_) report_(*flagged_);
  }

 private:
  // The flag of any item speaks for its whole run. A run that the range covers only in part is reported, but not cleared:
  // what is dirty outside the range would be forgotten.
  void below(unsigned level, std::uint64_t table, Range range) {
    Geometry const& g = format_.geometry();
    for (std::uint64_t at = range.start;;) {
      if constexpr (DirectTables<M, Entry> && UpdatesEntries<F>) {
        if (level == 0) {
          auto const next = flag_ == Flag::dirty ? row<Flag::dirty>(table, {at, range.last}, range)
                                                 : row<Flag::accessed>(table, {at, range.last}, range);
          if (!next) return;
          at = *next;
        }
      }
      std::uint64_t last = std::min(g.item(level, at).last, range.last);
      auto const e = memory_.template load<Entry>(table, g.index(level, at));
      EntryKind const kind = e ? format_.kind(*e, level) : EntryKind::empty;
      if (kind == EntryKind::table) {
        for_each_part_below(format_, *e, level, {at, last}, [&](Range part) {
          below(child_level(format_, *e, level), format_.table_address(*e, level), part);
          return true;
        });
      } else if (kind == EntryKind::leaf) {
        Range const entry = Range::block(at, format_.leaf_size_lg2(*e, level, at));
        last = std::min(entry.last, range.last);
        if (auto const flagged = harvest_entry(level, table, entry, range)) add(*flagged->intersection(range));
      }
      if (last == range.last) return;
      at = last + 1;
    }
  }

  // Passes over the items of a table of the lowest level that have nothing to tell, and does those that are entries of their
  // own and whose flags are all set. Such a word is written without a compare-and-swap: a walker finds nothing to set in it, and
  // nobody else changes it now. Returns the input of the next item that wants a closer look.
  template <Flag flag>
  std::optional<std::uint64_t> row(std::uint64_t table, Range part, Range range)
    requires DirectTables<M, Entry> && UpdatesEntries<F>
  {
    F const format = format_;
    Geometry const& g = format.geometry();
    unsigned const shift = g.level[0].shift;
    Entry* const words = memory_.template words<Entry>(table);
    auto const load = [&](std::uint64_t i) { return __atomic_load_n(words + i, __ATOMIC_ACQUIRE); };
    // A run that goes on outside may have its flag there.
    auto const entry_at = [&](std::uint64_t input) {
      Entry const e = load(g.index(0, input));
      return Range::block(input, e == format.empty(0) ? shift : format.leaf_size_lg2(e, 0, input));
    };
    if (!range.contains(entry_at(part.start))) return part.start;
    Range const final = entry_at(part.last);
    std::optional<std::uint64_t> rest;
    if (!range.contains(final)) rest = std::max(final.start, part.start);
    std::uint64_t const first = g.index(0, part.start), end = rest ? g.index(0, *rest) : g.index(0, part.last) + 1;
    std::uint64_t const origin = align_down(part.start, shift) - (first << shift);  // input of item 0
    bool const clears = clear_ == Clear::yes;
    Entry const flag_bit = bit_of<flag>(format);
    constexpr std::uint64_t stride = 8;  // so many are looked at before one is asked about
    for (std::uint64_t i = first; i < end;) {
      Entry any = 0;
      if (i + stride <= end) {
#pragma GCC unroll 8
        for (std::uint64_t n = 0; n < stride; n++) any = static_cast<Entry>(any | load(i + n));
        bool is_any_set = (any & flag_bit) != 0;
        if (is_any_set) {  // perhaps: clean words may have the bit too (Arm DBM)
          unsigned set = 0;
          for (std::uint64_t n = 0; n < stride; n++) set |= is_set<flag>(format, load(i + n)) ? 1 : 0;
          is_any_set = set != 0;
        }
        if (!is_any_set) {
          i += stride;
          continue;
        }
      }
      std::uint64_t const set_from = i;
      for (; i < end; i++) {
        Entry const e = load(i);
        if (!is_set<flag>(format, e)) break;
        std::uint64_t const input = origin + (i << shift);
        if (format.leaf_size_lg2(e, 0, input) != shift || format.touched(e, 0, true) != e) {
          if (i > set_from) add({origin + (set_from << shift), input - 1});
          return input;
        }
        if (clears) __atomic_store_n(words + i, without<flag>(format, e), __ATOMIC_RELEASE);
      }
      if (i > set_from) add({origin + (set_from << shift), origin + (i << shift) - 1});
      i += i < end ? 1 : 0;  // that one is not set
    }
    return rest;
  }

  void add(Range flagged) {
    if (flagged_ && flagged_->last + 1 == flagged.start) {
      flagged_->last = flagged.last;
      return;
    }
    if (flagged_) report_(*flagged_);
    flagged_ = flagged;
  }

  template <Flag flag>
  static bool is_set(F const& format, Entry e) {
    if constexpr (flag == Flag::dirty) {
      if constexpr (TracksDirty<F>) return format.is_dirty(e);
    } else {
      if constexpr (TracksAccessed<F>) return format.is_accessed(e);
    }
    return false;
  }
  // Words without it are not set.
  template <Flag flag>
  static Entry bit_of(F const& format) {
    if constexpr (flag == Flag::dirty) {
      if constexpr (TracksDirty<F>) return format.dirty_bit();
    } else {
      if constexpr (TracksAccessed<F>) return format.accessed_bit();
    }
    return 0;
  }
  template <Flag flag>
  static Entry without(F const& format, Entry e) {
    if constexpr (flag == Flag::dirty) {
      if constexpr (TracksDirty<F>) return format.without_dirty(e);
    } else {
      if constexpr (TracksAccessed<F>) return format.without_accessed(e);
    }
    return e;
  }
  bool is_set(Entry e) const {
    return flag_ == Flag::dirty ? is_set<Flag::dirty>(format_, e) : is_set<Flag::accessed>(format_, e);
  }
  Entry without(Entry e) const {
    return flag_ == Flag::dirty ? without<Flag::dirty>(format_, e) : without<Flag::accessed>(format_, e);
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
  std::optional<Range> flagged_;  // not reported yet
};

}  // namespace swiommu
