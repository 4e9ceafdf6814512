// Tables taken from the allocator before a change begins, so that the change itself cannot fail.
#pragma once
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "page_table/format.h"
#include "page_table/rows.h"
#include "page_table/table_memory.h"

namespace swiommu {

// How many tables of each level a change needs at most.
struct TableNeeds {
  std::array<std::uint64_t, maximum_levels> tables{};
};

template <PageTableFormat F>
constexpr unsigned table_size_lg2(F const& f, unsigned level) {
  return f.geometry().level[level].index_bits + log2_floor(sizeof(typename F::Entry));
}

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class TableStash {
 public:
  using Entry = typename F::Entry;

  TableStash(F const& format, M& memory) : format_(format), memory_(memory) {}
  TableStash(TableStash const&) = delete;
  TableStash& operator=(TableStash const&) = delete;
  ~TableStash() {
    for (unsigned l = 0; l < maximum_levels; l++)
      for (std::uint64_t const table : tables_[l]) memory_.release(table, table_size_lg2(format_, l));
  }

  // ENOMEM, with everything given back, if the tables cannot be had.
  Result<void> reserve(TableNeeds const& needs) {
    for (unsigned l = 0; l < maximum_levels; l++) {
      if (needs.tables[l] == 0) continue;
      if (tables_[l].size() < needs.tables[l]) tables_[l].reserve(needs.tables[l]);  // may throw: callers are guarded
      while (tables_[l].size() < needs.tables[l]) {
        auto table = allocate(l);
        if (!table) return std::unexpected(std::move(table).error());
        tables_[l].push_back(*table);
      }
    }
    return {};
  }

  // An empty table for `level`; in memory of our own with undefined words, if the caller is going to write them all. The plan
  // has counted it: there is one, unless the owner of a foreign table has changed it since.
  std::optional<std::uint64_t> take(unsigned level, bool writes_all = false) {
    if (tables_[level].empty()) return std::nullopt;
    std::uint64_t const table = tables_[level].back();
    tables_[level].pop_back();
    if constexpr (is_direct)
      if (!writes_all) std::fill_n(memory_.template words<Entry>(table), items(level), format_.empty(level));
    return table;
  }

  // Takes back a tree of tables that no walker has seen.
  void put_back(std::uint64_t table, unsigned level) {
    for (std::uint64_t i = 0; i < items(level); i++) {
      Entry const e = memory_.template load<Entry>(table, i).value_or(format_.empty(level));
      if (level > 0 && format_.kind(e, level) == EntryKind::table) put_back(format_.table_address(e, level), level - 1);
      if constexpr (!is_direct) memory_.template store<Entry>(table, i, format_.empty(level));
    }
    if (tables_[level].size() == tables_[level].capacity())
      memory_.release(table, table_size_lg2(format_, level));  // not one of ours: no room is kept for it
    else
      tables_[level].push_back(table);
  }

 private:
  static constexpr bool is_direct = DirectTables<M, Entry>;

  std::uint64_t items(unsigned level) const { return bit(format_.geometry().level[level].index_bits); }

  Result<std::uint64_t> allocate(unsigned level) {
    if constexpr (is_direct)
      return memory_.allocate_undefined(table_size_lg2(format_, level));
    else
      return memory_.template allocate<Entry>(table_size_lg2(format_, level), format_.empty(level));
  }

  F const& format_;
  M& memory_;
  std::array<std::vector<std::uint64_t>, maximum_levels> tables_{};
};

}  // namespace swiommu
