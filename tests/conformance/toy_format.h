// A format that no hardware has, made of what is hard: 4-byte entries, levels of odd sizes, an empty word that is not 0,
// and leaves at levels 0 and 2 but not at 1, so that a split has to build two levels of tables at once.
//
//   31:4  address, in units of 128 bytes    3:2  kind: 0 table, 1 leaf, 3 empty    1  writable    0  readable
#pragma once
#include "page_table/format.h"
#include "swiommu/base/result.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

class ToyFormat {
 public:
  using Entry = std::uint32_t;

  explicit constexpr ToyFormat(FormatConfiguration const&) {}
  static Result<void> check(FormatConfiguration const&) { return {}; }

  constexpr Geometry const& geometry() const { return shape; }
  constexpr unsigned output_bits() const { return 35; }

  constexpr EntryKind kind(Entry e, unsigned level) const {
    switch (e & kind_bits) {
      case kind_table: return level == 0 || (e & rights) != 0 ? EntryKind::malformed : EntryKind::table;
      case kind_leaf: {
        bool const aligned = is_aligned(address(e), shape.level[level].shift);
        return level == 1 || !aligned || (e & rights) == 0 ? EntryKind::malformed : EntryKind::leaf;
      }
      case kind_empty: return EntryKind::empty;
      default: return EntryKind::malformed;
    }
  }

  constexpr Entry empty(unsigned level) const { return kind_empty | (0xabc00u + level) << 12; }
  constexpr Entry table(std::uint64_t address, unsigned) const { return word(address) | kind_table; }
  constexpr std::uint64_t table_address(Entry e, unsigned) const { return address(e); }
  constexpr WordPattern<Entry> plain_table(unsigned) const { return {.mask = kind_bits | rights, .value = kind_table}; }

  constexpr std::uint64_t leaf_sizes(unsigned level) const { return level == 1 ? 0 : bit(shape.level[level].shift); }
  constexpr Entry leaf(std::uint64_t address, unsigned, unsigned, Attributes a) const {
    return word(address) | kind_leaf | (a.access.read ? readable : 0u) | (a.access.write ? writable : 0u);
  }
  constexpr unsigned leaf_size_lg2(Entry, unsigned level, std::uint64_t) const { return shape.level[level].shift; }
  constexpr std::uint64_t leaf_address(Entry e, unsigned, std::uint64_t) const { return address(e); }
  constexpr Attributes attributes(Entry e, unsigned) const { return {.access = {(e & readable) != 0, (e & writable) != 0}}; }

  static constexpr std::span<BitName const> bit_names() { return names; }

 private:
  static constexpr Entry readable = 1, writable = 2, rights = 3;
  static constexpr Entry kind_bits = 3u << 2, kind_table = 0u << 2, kind_leaf = 1u << 2, kind_empty = 3u << 2;
  static constexpr BitName names[] = {{3, "K1"}, {2, "K0"}, {1, "W"}, {0, "R"}};
  static constexpr Geometry shape{.level = {{{10, 5}, {15, 7}, {22, 6}}}, .levels = 3};

  static constexpr std::uint64_t address(Entry e) { return std::uint64_t{e >> 4} << 7; }
  static constexpr Entry word(std::uint64_t address) { return static_cast<Entry>(address >> 7 << 4); }
};

static_assert(PageTableFormat<ToyFormat> && !CombinesRights<ToyFormat> && !UpdatesEntries<ToyFormat>);

}  // namespace swiommu
