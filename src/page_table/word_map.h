// Tables in a handful of words, for tests.
#pragma once
#include <cstdint>
#include <map>
#include <optional>

#include "page_table/table_memory.h"
#include "page_table/walk.h"

namespace swiommu {

class WordMap {
 public:
  // What was not put there cannot be reached, or is 0 if it lies below `zeroes_end`.
  explicit WordMap(std::uint64_t zeroes_end = 0) : zeroes_end_(zeroes_end) {}

  // Words that mean "nothing here", to be overwritten with put.
  void add_table(std::uint64_t table, std::uint64_t items, std::uint64_t empty) {
    for (std::uint64_t i = 0; i < items; i++) words_[table + i * 8] = empty;
  }
  void put(std::uint64_t table, std::uint64_t index, std::uint64_t word) { words_[table + index * 8] = word; }
  [[nodiscard]] std::uint64_t at(std::uint64_t table, std::uint64_t index) const { return words_.at(table + index * 8); }
  std::uint64_t& operator[](std::uint64_t address) { return words_[address]; }

  template <class Entry>
  std::optional<Entry> load(std::uint64_t table, std::uint64_t index) {
    loads++;
    std::uint64_t* const word = find(table + index * 8);
    return word == nullptr ? std::nullopt : std::optional<Entry>(*word);
  }

  template <class Entry>
  bool fetch(std::uint64_t table, std::uint64_t index, Entry& e) {
    auto const loaded = load<Entry>(table, index);
    e = loaded.value_or(0);
    return loaded.has_value();
  }

  template <class Entry>
  Exchange exchange(std::uint64_t table, std::uint64_t index, Entry& expected, Entry e) {
    std::uint64_t* const word = find(table + index * 8);
    if (word == nullptr) return Exchange::unreachable;
    if (*word != expected) {
      expected = *word;
      return Exchange::changed;
    }
    *word = e;
    return Exchange::done;
  }

  unsigned loads = 0;

 private:
  std::uint64_t* find(std::uint64_t address) {
    if (address < zeroes_end_) return &words_[address];
    auto const found = words_.find(address);
    return found == words_.end() ? nullptr : &found->second;
  }

  std::uint64_t zeroes_end_;
  std::map<std::uint64_t, std::uint64_t> words_;
};

static_assert(TableReader<WordMap, std::uint64_t>);

}  // namespace swiommu
