// Table memory of our own: an address becomes a pointer by one addition.
#pragma once
#include <algorithm>
#include <memory>

#include "page_table/table_memory.h"
#include "swiommu/base/bits.h"
#include "swiommu/memory/table_allocator.h"
#include "swiommu/page_table/gather.h"

namespace swiommu {

class OwnTables {
 public:
  explicit OwnTables(std::shared_ptr<TableAllocator> allocator)
      : allocator_(std::move(allocator)), base_(allocator_->pointer(0)) {}

  template <class Entry>
  std::optional<Entry> load(std::uint64_t table, std::uint64_t index) const {
    return __atomic_load_n(word<Entry>(table, index), __ATOMIC_ACQUIRE);
  }

  template <class Entry>
  bool fetch(std::uint64_t table, std::uint64_t index, Entry& e) const {
    e = __atomic_load_n(word<Entry>(table, index), __ATOMIC_ACQUIRE);
    return true;
  }

  // Words of a table from `index` on: all of them lie in a row.
  template <class Entry>
  struct Row {
    Entry const* first = nullptr;
    std::uint64_t count = 0;
    static constexpr bool unreachable = false;

    Entry load(std::uint64_t n) const { return __atomic_load_n(first + n, __ATOMIC_ACQUIRE); }
  };
  template <class Entry>
  Row<Entry> row(std::uint64_t table, std::uint64_t index, std::uint64_t count) const {
    return {word<Entry>(table, index), count};
  }

  template <class Entry>
  Exchange exchange(std::uint64_t table, std::uint64_t index, Entry& expected, Entry desired) {
    bool const done =
        __atomic_compare_exchange_n(word<Entry>(table, index), &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return done ? Exchange::done : Exchange::changed;
  }

  template <class Entry>
  bool store(std::uint64_t table, std::uint64_t index, Entry e) {
    __atomic_store_n(word<Entry>(table, index), e, __ATOMIC_RELEASE);
    return true;
  }

  template <class Entry>
  Result<std::uint64_t> allocate(unsigned size_lg2, Entry fill) {
    auto table = allocator_->allocate(size_lg2);
    if (table) std::fill_n(word<Entry>(*table, 0), bit(size_lg2) / sizeof(Entry), fill);
    return table;
  }

  Result<std::uint64_t> allocate_undefined(unsigned size_lg2) { return allocator_->allocate(size_lg2); }

  template <class Entry>
  Entry* words(std::uint64_t table) const {
    return reinterpret_cast<Entry*>(base_ + table);
  }

  void release(std::uint64_t table, unsigned size_lg2) { allocator_->release(table, size_lg2); }
  void retire(Gather& gather, std::uint64_t table, unsigned size_lg2) { gather.add_table(*allocator_, table, size_lg2); }

 private:
  template <class Entry>
  Entry* word(std::uint64_t table, std::uint64_t index) const {
    return words<Entry>(table) + index;
  }

  std::shared_ptr<TableAllocator> allocator_;
  std::byte* base_;
};

}  // namespace swiommu
