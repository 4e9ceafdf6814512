// Where table words live, as the engine sees it.
//
// There are two kinds: tables of our own (own_tables.h: one addition from table address to pointer), and tables in
// memory that somebody else owns and edits (foreign_tables.h: each fetch goes through a parent). A nested walk is an
// ordinary walk whose reader is of the second kind.
#pragma once
#include <concepts>
#include <cstdint>
#include <optional>

#include "swiommu/base/result.h"

namespace swiommu {

class Gather;

enum class Exchange : std::uint8_t {
  done,         // the word was as expected and is now the new one
  changed,      // somebody was first; `expected` holds what is there now
  unreachable,  // the word cannot be written
};

template <class M, class Entry>
concept TableReader = requires(M& m, std::uint64_t table, std::uint64_t index, Entry e, Entry& expected) {
  // one word, loaded atomically with acquire order; nothing if the table cannot be reached
  { m.template load<Entry>(table, index) } -> std::same_as<std::optional<Entry>>;
  // the same; false if the table cannot be reached. For walks, whose words stay in registers like this.
  { m.template fetch<Entry>(table, index, expected) } -> std::same_as<bool>;
  // compare-and-swap, release
  { m.template exchange<Entry>(table, index, expected, e) } -> std::same_as<Exchange>;
};

template <class M, class Entry>
concept TableMemory = TableReader<M, Entry> &&
                      requires(M& m, std::uint64_t table, std::uint64_t index, Entry e, unsigned size_lg2, Gather& gather) {
                        // one word, stored atomically with release order; false if the table cannot be reached
                        { m.template store<Entry>(table, index, e) } -> std::same_as<bool>;
                        // a table of 2^size_lg2 bytes, aligned to its size, all words set to e
                        { m.template allocate<Entry>(size_lg2, e) } -> std::same_as<Result<std::uint64_t>>;
                        // a table that was never visible to a walker goes back at once
                        { m.release(table, size_lg2) } -> std::same_as<void>;
                        // a table that walkers may still read goes back when the gather is finished
                        { m.retire(gather, table, size_lg2) } -> std::same_as<void>;
                      };

}  // namespace swiommu
