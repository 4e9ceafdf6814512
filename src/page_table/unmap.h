// Unmapping: entries of a range are emptied, tables that the range covers whole are unlinked and retired.
#pragma once
#include "page_table/map.h"

namespace swiommu {

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class Unmapper {
 public:
  using Entry = typename F::Entry;

  Unmapper(F const& format, M& memory) : format_(format), memory_(memory) {}

  // Empties `range`, which cuts no entry. Returns the bytes that were mapped. Holes are passed over. What a foreign table's
  // memory does not let go of stays.
  std::uint64_t clear(unsigned level, std::uint64_t table, Range range, Gather& gather) {
    Geometry const& g = format_.geometry();
    std::uint64_t bytes = 0;
    if constexpr (DirectTables<M, Entry>)
      if (level == 0) return clear_row(table, range);
    for (std::uint64_t at = range.start;;) {
      std::uint64_t const i = g.index(level, at);
      Range const item = g.item(level, at);
      std::uint64_t const last = std::min(item.last, range.last);
      Entry const e = memory_.template load<Entry>(table, i).value_or(format_.empty(level));
      switch (format_.kind(e, level)) {
        case EntryKind::empty: break;
        case EntryKind::table: {
          if (range.contains(item)) {
            bytes += mapped_bytes(e, level, at);
            if (drop(level, table, i)) Mapper<F, M>(format_, memory_).retire_entry(e, level, at, gather);
          } else {
            for_each_part_below(format_, e, level, {at, last}, [&](Range part) {
              bytes += clear(child_level(format_, e, level), format_.table_address(e, level), part, gather);
              return true;
            });
          }
          break;
        }
        case EntryKind::leaf:
          bytes += item.length();
          drop(level, table, i);
          break;
        case EntryKind::malformed: drop(level, table, i); break;
      }
      if (last == range.last) return bytes;
      at = last + 1;
    }
  }

  // False if the memory of a foreign table refused a store.
  [[nodiscard]] bool is_complete() const { return complete_; }

 private:
  // The same for a table of the lowest level.
  std::uint64_t clear_row(std::uint64_t table, Range range)
    requires DirectTables<M, Entry>
  {
    Geometry const& g = format_.geometry();
    std::uint64_t const first = g.index(0, range.start), last = g.index(0, range.last);
    std::uint64_t const leaves = count_leaves(format_, memory_, table, first, last);
    if (leaves != 0)
      store_row<Entry>(memory_, table, first, last - first + 1, [e = format_.empty(0)](std::uint64_t) { return e; });
    return leaves << g.level[0].shift;
  }

  bool drop(unsigned level, std::uint64_t table, std::uint64_t index) {
    bool const stored = memory_.template store<Entry>(table, index, format_.empty(level));
    complete_ = complete_ && stored;
    return stored;
  }

  // How much the table entry `parent`, met at `parent_level` for the input `input`, translates.
  std::uint64_t mapped_bytes(Entry parent, unsigned parent_level, std::uint64_t input) const {
    Geometry const& g = format_.geometry();
    std::uint64_t const table = format_.table_address(parent, parent_level);
    unsigned const level = child_level(format_, parent, parent_level), shift = g.level[level].shift;
    std::uint64_t bytes = 0;
    for_each_part_below(format_, parent, parent_level, g.item(parent_level, input), [&](Range part) {
      std::uint64_t const first = g.index(level, part.start), last = g.index(level, part.last);
      if constexpr (DirectTables<M, Entry>) {
        if (level == 0) {
          bytes += count_leaves(format_, memory_, table, first, last) << shift;
          return true;
        }
      }
      for (std::uint64_t i = first; i <= last; i++) {
        Entry const e = memory_.template load<Entry>(table, i).value_or(format_.empty(level));
        EntryKind const kind = format_.kind(e, level);
        if (kind == EntryKind::leaf) bytes += bit(shift);
        if (kind == EntryKind::table) bytes += mapped_bytes(e, level, i << shift);
      }
      return true;
    });
    return bytes;
  }

  F const& format_;
  M& memory_;
  bool complete_ = true;
};

}  // namespace swiommu
