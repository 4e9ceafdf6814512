// Tables in a handful of words, for tests: what was not put there cannot be reached.
#pragma once
#include <cstdint>
#include <map>
#include <optional>

#include "page_table/table_memory.h"
#include "page_table/walk.h"

namespace swiommu {

class WordMap {
 public:
  // Words that mean "nothing here", to be overwritten with put.
  void add_table(std::uint64_t table, std::uint64_t items, std::uint64_t empty) {
    for (std::uint64_t i = 0; i < items; i++) words_[table + i * 8] = empty;
  }
  void put(std::uint64_t table, std::uint64_t index, std::uint64_t word) { words_[table + index * 8] = word; }
  [[nodiscard]] std::uint64_t at(std::uint64_t table, std::uint64_t index) const { return words_.at(table + index * 8); }

  template <class Entry>
  std::optional<Entry> load(std::uint64_t table, std::uint64_t index) {
    loads++;
    auto const found = words_.find(table + index * 8);
    return found == words_.end() ? std::nullopt : std::optional<Entry>(found->second);
  }

  template <class Entry>
  Exchange exchange(std::uint64_t table, std::uint64_t index, Entry& expected, Entry e) {
    auto const found = words_.find(table + index * 8);
    if (found == words_.end()) return Exchange::unreachable;
    if (found->second != expected) {
      expected = found->second;
      return Exchange::changed;
    }
    found->second = e;
    return Exchange::done;
  }

  unsigned loads = 0;

 private:
  std::map<std::uint64_t, std::uint64_t> words_;
};

static_assert(TableReader<WordMap, std::uint64_t>);

}  // namespace swiommu
