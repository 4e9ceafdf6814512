// Unmapping: entries of a range are emptied, tables that the range covers whole are unlinked and retired.
#pragma once
#include "page_table/map.h"

namespace swiommu {

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class Unmapper {
 public:
  using Entry = typename F::Entry;

  Unmapper(F const& format, M& memory) : format_(format), memory_(memory) {}

  // Empties `range`, which cuts no entry. Returns the bytes that were mapped. Holes are passed over.
  std::uint64_t clear(unsigned level, std::uint64_t table, Range range, Gather& gather) {
    Geometry const& g = format_.geometry();
    std::uint64_t bytes = 0;
    for (std::uint64_t at = range.start;;) {
      std::uint64_t const i = g.index(level, at);
      Range const item = g.item(level, at);
      std::uint64_t const last = std::min(item.last, range.last);
      Entry const e = memory_.template load<Entry>(table, i).value_or(format_.empty(level));
      switch (format_.kind(e, level)) {
        case EntryKind::empty: break;
        case EntryKind::table: {
          std::uint64_t const child = format_.table_address(e, level);
          if (range.contains(item)) {
            bytes += mapped_bytes(level - 1, child);
            memory_.template store<Entry>(table, i, format_.empty(level));
            Mapper<F, M>(format_, memory_).retire(child, level - 1, gather);
          } else {
            bytes += clear(level - 1, child, {at, last}, gather);
          }
          break;
        }
        case EntryKind::leaf:
        case EntryKind::malformed:
          memory_.template store<Entry>(table, i, format_.empty(level));
          bytes += item.length();
          break;
      }
      if (last == range.last) return bytes;
      at = last + 1;
    }
  }

 private:
  std::uint64_t mapped_bytes(unsigned level, std::uint64_t table) const {
    std::uint64_t bytes = 0;
    for (std::uint64_t i = 0; i < bit(format_.geometry().level[level].index_bits); i++) {
      Entry const e = memory_.template load<Entry>(table, i).value_or(format_.empty(level));
      EntryKind const kind = format_.kind(e, level);
      if (kind == EntryKind::leaf) bytes += bit(format_.geometry().level[level].shift);
      if (kind == EntryKind::table) bytes += mapped_bytes(level - 1, format_.table_address(e, level));
    }
    return bytes;
  }

  F const& format_;
  M& memory_;
};

}  // namespace swiommu
