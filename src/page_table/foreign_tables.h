// Table memory that belongs to somebody else, who edits it while we read: each word is fetched through a view, which may
// refuse. Nothing read here is trusted.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <optional>

#include "page_table/table_memory.h"
#include "swiommu/base/bits.h"
#include "swiommu/memory/doubtful_memory.h"
#include "swiommu/memory/memory_view.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {

class ForeignTables {
 public:
  ForeignTables(MemoryView const& view, bool big_endian, UserTableSource* source,
                std::uint64_t budget = PageTable::default_budget)
      : view_(&view),
        source_(source),
        doubtful_(view.doubtful()),
        swapped_(big_endian == (std::endian::native == std::endian::little)),
        budget_(budget) {}

  // The words that one call may look at.
  [[nodiscard]] std::uint64_t budget() const { return budget_; }

  // The same memory for one call and one thread, which finds no more tables once it has loaded `words` words.
  [[nodiscard]] ForeignTables limited(std::uint64_t words) const {
    ForeignTables copy = *this;
    copy.left_ = words;
    return copy;
  }
  [[nodiscard]] bool exhausted() const { return left_ == 0; }

  // The same memory as somebody sees it who keeps what was found.
  [[nodiscard]] ForeignTables seen_through(MemoryView const& view) const {
    ForeignTables copy = *this;
    copy.view_ = &view;
    return copy;
  }

  template <class Entry>
  bool fetch(std::uint64_t table, std::uint64_t index, Entry& e) const {
    if (left_ != PageTable::no_limit) {
      if (left_ == 0) return false;
      left_--;
    }
    Entry* const word = locate<Entry>(table, index, Access::reading());
    if (word == nullptr) return false;
    if (doubtful_) [[unlikely]] {
      auto const loaded = load_doubtful(word);
      e = in_order(loaded.value_or(0));
      return loaded.has_value();
    }
    e = in_order(__atomic_load_n(word, __ATOMIC_ACQUIRE));
    return true;
  }

  // A word of a table that was located before, in memory that is not doubtful.
  template <class Entry>
  Entry load_at(std::byte const* table, std::uint64_t index) const {
    return in_order(__atomic_load_n(reinterpret_cast<Entry const*>(table) + index, __ATOMIC_ACQUIRE));
  }

  template <class Entry>
  std::optional<Entry> load(std::uint64_t table, std::uint64_t index) const {
    Entry e = 0;
    return fetch(table, index, e) ? std::optional(e) : std::nullopt;
  }

  // Words of a table that lie in a row, each to be read atomically when it is wanted.
  template <class Entry>
  struct Row {
    Entry const* first = nullptr;
    std::uint64_t count = 0;
    bool swapped = false;
    bool unreachable = false;  // not even the first can be read

    Entry load(std::uint64_t n) const { return in_order(__atomic_load_n(first + n, __ATOMIC_ACQUIRE), swapped); }
  };
  // Those from `index` on, at most `count`, as far as they can be reached at once; perhaps none.
  template <class Entry>
  Row<Entry> row(std::uint64_t table, std::uint64_t index, std::uint64_t count) const {
    if (doubtful_ || left_ != PageTable::no_limit) return {};
    Chunk const chunk = view_->locate(table + index * sizeof(Entry), Access::reading());
    Entry const* const first = first_word<Entry>(chunk);
    if (first == nullptr) return {.unreachable = true};
    return {first, std::min<std::uint64_t>(count, chunk.length / sizeof(Entry)), swapped_};
  }

  template <class Entry>
  Exchange exchange(std::uint64_t table, std::uint64_t index, Entry& expected, Entry desired) {
    Entry* const word = locate<Entry>(table, index, Access::both());
    if (word == nullptr || (doubtful_ && !can_be_written(word))) return Exchange::unreachable;
    Entry stored = in_order(expected);
    bool const done = __atomic_compare_exchange_n(word, &stored, in_order(desired), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    expected = in_order(stored);
    return done ? Exchange::done : Exchange::changed;
  }

  template <class Entry>
  bool store(std::uint64_t table, std::uint64_t index, Entry e) {
    Entry* const word = locate<Entry>(table, index, Access::writing());
    if (word == nullptr || (doubtful_ && !can_be_written(word))) return false;
    __atomic_store_n(word, in_order(e), __ATOMIC_RELEASE);
    return true;
  }

  template <class Entry>
  Result<std::uint64_t> allocate(unsigned size_lg2, Entry fill) {
    if (source_ == nullptr) return fail(ENOTSUP, "this user page table was opened without memory for new tables");
    auto table = source_->allocate(size_lg2);
    if (!table) return table;
    for (std::uint64_t i = 0; i < bit(size_lg2) / sizeof(Entry); i++) {
      if (store<Entry>(*table, i, fill)) continue;
      source_->release(*table, size_lg2);
      return fail(EFAULT, "memory given for a new table cannot be written");
    }
    return table;
  }

  void release(std::uint64_t table, unsigned size_lg2) { source_->release(table, size_lg2); }

  // The user's own memory: when it may be used again is up to the user, who does the invalidating.
  void retire(Gather&, std::uint64_t table, unsigned size_lg2) {
    if (source_ != nullptr) source_->release(table, size_lg2);
  }

 private:
  template <class Entry>
  Entry* locate(std::uint64_t table, std::uint64_t index, Access access) const {
    return first_word<Entry>(view_->locate(table + index * sizeof(Entry), access));
  }
  template <class Entry>
  static Entry* first_word(Chunk const& chunk) {
    if (!chunk || chunk.length < sizeof(Entry) || reinterpret_cast<std::uintptr_t>(chunk.data) % sizeof(Entry) != 0)
      return nullptr;
    return reinterpret_cast<Entry*>(chunk.data);
  }

  template <class Entry>
  Entry in_order(Entry e) const {
    return in_order(e, swapped_);
  }
  template <class Entry>
  static Entry in_order(Entry e, bool swapped) {
    if (!swapped) return e;
    if constexpr (sizeof(Entry) == 8) return __builtin_bswap64(e);
    return static_cast<Entry>(__builtin_bswap32(static_cast<std::uint32_t>(e)));
  }

  MemoryView const* view_;
  UserTableSource* source_;
  bool doubtful_;
  bool swapped_;
  std::uint64_t budget_;
  mutable std::uint64_t left_ = PageTable::no_limit;  // only copies made by limited() count, walks share the original
};

}  // namespace swiommu
