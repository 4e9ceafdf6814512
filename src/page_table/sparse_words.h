// Tables for tests of formats, in a memory of zeroes that ends somewhere.
#pragma once
#include <cstdint>
#include <map>
#include <optional>

#include "page_table/table_memory.h"

namespace swiommu {

class SparseWords {
 public:
  // Words that were never set are 0; tables at or above `end` cannot be reached.
  explicit SparseWords(std::uint64_t end = std::uint64_t{1} << 40) : end_(end) {}

  std::uint64_t& operator[](std::uint64_t address) { return words_[address]; }
  [[nodiscard]] unsigned loads() const { return loads_; }

  template <class Entry>
  std::optional<Entry> load(std::uint64_t table, std::uint64_t index) {
    loads_++;
    std::uint64_t const address = table + index * sizeof(Entry);
    if (address >= end_) return std::nullopt;
    auto const found = words_.find(address);
    return found == words_.end() ? Entry{0} : static_cast<Entry>(found->second);
  }

  template <class Entry>
  Exchange exchange(std::uint64_t table, std::uint64_t index, Entry& expected, Entry desired) {
    std::uint64_t const address = table + index * sizeof(Entry);
    if (address >= end_) return Exchange::unreachable;
    if (words_[address] != expected) {
      expected = static_cast<Entry>(words_[address]);
      return Exchange::changed;
    }
    words_[address] = desired;
    return Exchange::done;
  }

 private:
  std::uint64_t end_;
  std::map<std::uint64_t, std::uint64_t> words_;
  unsigned loads_ = 0;
};

static_assert(TableReader<SparseWords, std::uint64_t>);

}  // namespace swiommu
