// The contract of a page-table format.
//
// A format is an object: its run-time configuration (levels, granule, enabled features) are its members. It knows one
// entry at a time; trees are the business of walk.h, map.h, unmap.h, which know no bits. A format is one file in
// formats/, whose header comment cites the manual, maps the manual's names to ours, and lists the bits that are checked.
//
//   item    one slot of a table
//   entry   one item, or an aligned run of items that act as one (Arm contiguous, RISC-V NAPOT, AMD v1 page sizes)
//   level   0 = the table that holds only leaves, counted up to the root
#pragma once
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

#include "page_table/geometry.h"
#include "swiommu/page_table/attributes.h"
#include "swiommu/page_table/fault.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

enum class EntryKind : std::uint8_t {
  empty,      // nothing here
  table,      // points to the next table
  leaf,       // outputs an address
  malformed,  // no entry that this architecture defines: guests write these
};

// A bit of an entry and what the manual calls it, for people who read dumps.
struct BitName {
  unsigned position;
  char const* name;
};

// The words whose bits in `mask` are `value`. By default none.
template <class Entry>
struct WordPattern {
  Entry mask = 0, value = 1;
  [[nodiscard]] constexpr bool matches(Entry e) const { return (e & mask) == value; }
};

template <class F>
concept PageTableFormat = requires(F const f, typename F::Entry e, std::uint64_t address, unsigned level, unsigned size_lg2,
                                   std::uint64_t input, Attributes attributes) {
  // std::uint64_t or std::uint32_t, in the machine's byte order: the order in memory is the reader's business
  requires std::same_as<typename F::Entry, std::uint64_t> || std::same_as<typename F::Entry, std::uint32_t>;
  // how inputs are sliced
  { f.geometry() } -> std::convertible_to<Geometry const&>;
  // number of bits of the largest output address
  { f.output_bits() } -> std::same_as<unsigned>;
  // what does this word mean at this level?
  { f.kind(e, level) } -> std::same_as<EntryKind>;
  // the word that means "nothing here"; not 0 everywhere (s390)
  { f.empty(level) } -> std::same_as<typename F::Entry>;
  // the word at `level` that names the table at `address` for level - 1
  { f.table(address, level) } -> std::same_as<typename F::Entry>;
  // where the table named by a table entry lies
  { f.table_address(e, level) } -> std::same_as<std::uint64_t>;
  // the words at `level`, from 1 up, that a walk may follow without another question: each is a table entry for all of the table
  // one level below, leaves all rights, and has no flag to be set. Most words are such; the others are asked about
  { f.plain_table(level) } -> std::same_as<WordPattern<typename F::Entry>>;
  // the sizes of leaves that may be written at this level, runs included: bit n set for 2^n bytes
  { f.leaf_sizes(level) } -> std::same_as<std::uint64_t>;
  // the word of the item that outputs `address`, part of an entry of 2^size_lg2 bytes; in formats that repeat one word
  // over the run, `address` is rounded down here
  { f.leaf(address, level, size_lg2, attributes) } -> std::same_as<typename F::Entry>;
  // size of the entry that a leaf item, met at `input`, belongs to
  { f.leaf_size_lg2(e, level, input) } -> std::same_as<unsigned>;
  // output address of the first byte of that entry
  { f.leaf_address(e, level, input) } -> std::same_as<std::uint64_t>;
  // what a leaf allows, by itself
  { f.attributes(e, level) } -> std::same_as<Attributes>;
  // the bits that have names, high to low
  { f.bit_names() } -> std::convertible_to<std::span<BitName const>>;
};

// Refinements, asked for with `if constexpr`.

// Why a malformed entry is refused, where that is not simply `malformed`.
template <class F>
concept ExplainsMalformed = requires(F const f, typename F::Entry e, unsigned level) {
  { f.reason(e, level) } -> std::same_as<Reason>;
};

// Table entries carry rights, which are combined along the path.
template <class F>
concept CombinesRights = requires(F const f, typename F::Entry e, unsigned level) {
  { f.table_rights(e, level) } -> std::same_as<Access>;
};

// A table entry says for which level its table is: levels may be skipped (AMD v1).
template <class F>
concept SkipsLevels = requires(F const f, typename F::Entry e, unsigned level) {
  { f.next_level(e, level) } -> std::same_as<unsigned>;
};

// The next table may be present only in part (s390 table offset and length): the indices of the items that it holds.
template <class F>
concept HasPartialTables = requires(F const f, typename F::Entry e, unsigned level) {
  { f.held_items(e, level) } -> std::same_as<std::optional<Range>>;
};

// The hardware writes accessed and dirty flags into entries. Whether it does is configuration: `touched` returns the word
// unchanged where it does not.
template <class F>
concept UpdatesEntries = requires(F const f, typename F::Entry e, unsigned level, bool write) {
  // the word after an access through this entry; `e` is a table or a leaf entry
  { f.touched(e, level, write) } -> std::same_as<typename F::Entry>;
};

// Leaves hold an accessed flag that can be read and cleared.
template <class F>
concept TracksAccessed = UpdatesEntries<F> && requires(F const f, typename F::Entry e) {
  { f.tracks_accessed() } -> std::same_as<bool>;
  { f.is_accessed(e) } -> std::same_as<bool>;
  // one that every accessed word has
  { f.accessed_bit() } -> std::same_as<typename F::Entry>;
  { f.without_accessed(e) } -> std::same_as<typename F::Entry>;
};

// Leaves hold a dirty flag that can be read and cleared.
template <class F>
concept TracksDirty = UpdatesEntries<F> && requires(F const f, typename F::Entry e) {
  { f.tracks_dirty() } -> std::same_as<bool>;
  { f.is_dirty(e) } -> std::same_as<bool>;
  // one that every dirty word has
  { f.dirty_bit() } -> std::same_as<typename F::Entry>;
  { f.without_dirty(e) } -> std::same_as<typename F::Entry>;
};

// The sizes of leaves that a configuration leaves to its format.
constexpr std::uint64_t offered_sizes(FormatConfiguration const& c) { return c.page_sizes ? c.page_sizes : ~std::uint64_t{0}; }

// All sizes that a table of this format can map, those of the root included.
template <PageTableFormat F>
constexpr std::uint64_t page_sizes(F const& f) {
  std::uint64_t sizes = 0;
  for (unsigned l = 0; l < f.geometry().levels; l++) sizes |= f.leaf_sizes(l);
  return sizes & low_bits(f.geometry().input_bits() + 1);
}

}  // namespace swiommu
