// Rows: items of one table that lie next to each other, read or written in one go.
//
// In tables of our own the words of a row lie in a row of memory that nobody writes but we, and walkers that set flags in
// leaves: a word of the lowest level that is not the empty one is a leaf. In everybody else's tables each word is fetched by
// itself, and may be anything.
#pragma once
#include <concepts>

#include "page_table/format.h"
#include "page_table/table_memory.h"

namespace swiommu {

template <class M, class Entry>
concept DirectTables = requires(M& m, std::uint64_t table, unsigned size_lg2) {
  // the words of a table
  { m.template words<Entry>(table) } -> std::same_as<Entry*>;
  // like allocate, but the words are undefined
  { m.allocate_undefined(size_lg2) } -> std::same_as<Result<std::uint64_t>>;
};

// Are the items `first` to `last` empty, all of them? False may also mean that it takes a closer look to know.
template <PageTableFormat F, class M>
bool surely_empty(F const& format, M& memory, unsigned level, std::uint64_t table, std::uint64_t first, std::uint64_t last) {
  using Entry = typename F::Entry;
  if constexpr (DirectTables<M, Entry>) {
    Entry const empty = format.empty(level);
    Entry const* const words = memory.template words<Entry>(table);
    Entry differences = 0;
    for (std::uint64_t i = first; i <= last; i++)
      differences = static_cast<Entry>(differences | (__atomic_load_n(words + i, __ATOMIC_RELAXED) ^ empty));
    return differences == 0;
  }
  return false;
}

// Writes `word(n)` into the item `first + n` for each n below `count`, in order. False if the memory refuses one; the rest is
// left as it was. Inline always: what `word` has captured then stays in registers.
template <class Entry, class M, class Word>
[[gnu::always_inline]] inline bool store_row(M& memory, std::uint64_t table, std::uint64_t first, std::uint64_t count,
                                             Word const& word) {
  if constexpr (DirectTables<M, Entry>) {
    Entry* const row = memory.template words<Entry>(table) + first;
    for (std::uint64_t n = 0; n < count; n++) __atomic_store_n(row + n, word(n), __ATOMIC_RELEASE);
    return true;
  } else {
    for (std::uint64_t n = 0; n < count; n++)
      if (!memory.template store<Entry>(table, first + n, word(n))) return false;
    return true;
  }
}

// Is the item `first + n` the word `word(n)`, for all up to `last`? False may also mean that it takes a closer look to know.
template <class Entry, class M, class Word>
[[gnu::always_inline]] inline bool surely_equal(M& memory, std::uint64_t table, std::uint64_t first, std::uint64_t last,
                                                Word const& word) {
  if constexpr (DirectTables<M, Entry>) {
    Entry const* const row = memory.template words<Entry>(table) + first;
    Entry differences = 0;
    for (std::uint64_t n = 0; n <= last - first; n++)
      differences = static_cast<Entry>(differences | (__atomic_load_n(row + n, __ATOMIC_RELAXED) ^ word(n)));
    return differences == 0;
  }
  return false;
}

// Of a table of the lowest level of our own: how many of the items `first` to `last` are leaves.
template <PageTableFormat F, DirectTables<typename F::Entry> M>
std::uint64_t count_leaves(F const& format, M& memory, std::uint64_t table, std::uint64_t first, std::uint64_t last) {
  using Entry = typename F::Entry;
  Entry const empty = format.empty(0);
  Entry const* const words = memory.template words<Entry>(table);
  std::uint64_t leaves = 0;
  for (std::uint64_t i = first; i <= last; i++) leaves += __atomic_load_n(words + i, __ATOMIC_RELAXED) != empty ? 1 : 0;
  return leaves;
}

}  // namespace swiommu
