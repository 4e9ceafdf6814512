// AMD v1 tables: "AMD I/O Virtualization Technology (IOMMU) Specification", 48882, section 2.2.3 "I/O page tables for host
// translations".
//
// The manual's levels 1 to 6 are our levels 0 to 5; the mode of the device table entry is our number of levels. NextLevel of
// an entry is
//   0       a leaf ("PTE") of the level's own size
//   1 .. 6  a table entry ("PDE"): the manual's level of the next table. It may be lower by more than one; the input bits of
//           levels that are skipped must be zero
//   7       a leaf whose size is encoded in its address: bits from 12 up are ones, and the first zero is bit log2(size) - 1.
//           Such a page is larger than the level's own size and smaller than that of the next level; its items are all alike.
// The space has no sign; at level 5 only 7 index bits, 63:57, are left. IR and IW are combined along the path.
//
// Checked where PR = 1 (what the event log calls RZ, "reserved bit not zero or invalid level encoding"): NextLevel of a table
// entry not below its own level; a leaf at level 5 (table "Page table level parameters": none there); an encoded size that is
// the own size of the level or does not belong to it, or is larger than the 52 output bits; bits 58:52 of a leaf, bits 60:52
// of a table entry (60:59 unverified); address bits at and above the output size, if that is configured smaller than 52
// (reported as such).
// Ignored: bits 4:1, 8:7, 59 (U) of a leaf, 63; and address bits below the size of a leaf with NextLevel 0 (unverified: the
// text asks for aligned addresses and does not say what happens otherwise).
// Granule 11 is no hardware, but the model that Linux' iommufd selftests run on: frames are of 2 KiB, tables stay at 512 items,
// and an entry holds an address shifted left by one ("as stored"). What is said above is then about addresses as stored.
// 512 GiB leaves (level 3, NextLevel 0) are understood, but never written: hardware is known that gets them wrong. Nor is
// anything above 2^51.
//
// A (bit 5) is set in all entries of the path, D (bit 6) in leaves, where the device table entry's HAD field asks for it
// (01: A, 11: A and D). An access sets D in the item that it met, so each item of a run must be looked at.
#pragma once
#include "page_table/format.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

class AmdV1 {
 public:
  using Entry = std::uint64_t;

  explicit constexpr AmdV1(FormatConfiguration const& c)
      : shift_(c.granule_lg2 ? 12 - c.granule_lg2 : 0),
        geometry_(shape(c.levels ? c.levels : 4, shift_)),
        output_bits_(c.output_bits ? c.output_bits : 52 - shift_),
        beyond_output_(bit_span(51, 0) & ~low_bits(output_bits_ + shift_)),
        offered_(offered_sizes(c)),
        accessed_updates_(c.accessed_updates || c.dirty_updates),
        dirty_updates_(c.dirty_updates) {}

  static Result<void> check(FormatConfiguration const& c) {
    if (c.levels > 6) return fail(EINVAL, "AMD v1 tables have 1 to 6 levels");
    if (c.granule_lg2 != 0 && c.granule_lg2 != 11 && c.granule_lg2 != 12)
      return fail(EINVAL, "AMD v1 granules are 4 KiB, in models 2 KiB (granule_lg2 12, 11)");
    unsigned const most = c.granule_lg2 == 11 ? 51 : 52;
    if (c.output_bits != 0 && (c.output_bits < 32 || c.output_bits > most))
      return fail(EINVAL, "AMD v1 tables output 32 to " + std::to_string(most) + " bits");
    return {};
  }

  constexpr Geometry const& geometry() const { return geometry_; }
  constexpr unsigned output_bits() const { return output_bits_; }

  constexpr EntryKind kind(Entry e, unsigned level) const {
    if ((e & present) == 0) return EntryKind::empty;
    unsigned const next = next_field(e);
    bool const leaf = next == 0 || next == encoded_size;
    if (!well_formed(e, level, next, leaf) || names_beyond_output(e, next)) return EntryKind::malformed;
    return leaf ? EntryKind::leaf : EntryKind::table;
  }
  constexpr Reason reason(Entry e, unsigned level) const {
    unsigned const next = next_field(e);
    return well_formed(e, level, next, next == 0 || next == encoded_size) ? Reason::address_size : Reason::malformed;
  }

  constexpr Entry empty(unsigned) const { return 0; }
  constexpr Entry table(std::uint64_t address, unsigned level) const {
    return address << shift_ | present | Entry{level} << 9 | read | write;
  }
  constexpr std::uint64_t table_address(Entry e, unsigned) const { return (e & address_bits) >> shift_; }
  constexpr Access table_rights(Entry e, unsigned) const { return {(e & read) != 0, (e & write) != 0}; }
  constexpr unsigned next_level(Entry e, unsigned) const { return next_field(e) - 1; }
  constexpr WordPattern<Entry> plain_table(unsigned level) const {
    Entry const flags = present | read | write | (accessed_updates_ ? accessed : 0);
    return {.mask = flags | bit_span(11, 9) | bit_span(60, 52) | beyond_output_, .value = flags | Entry{level} << 9};
  }

  constexpr std::uint64_t leaf_sizes(unsigned level) const {
    if (level > 4) return 0;
    unsigned const own = own_size_lg2(level), output = output_bits_ + shift_, largest = output < 51 ? output : 51;
    return (bit_span(own + 8, own) & low_bits(largest + 1) & ~bit(39)) >> shift_ & offered_;
  }
  constexpr Entry leaf(std::uint64_t address, unsigned level, unsigned size_lg2, Attributes a) const {
    Entry const e = present | (a.access.read ? read : 0) | (a.access.write ? write : 0) | (a.coherent ? force_coherent : 0);
    unsigned const stored_lg2 = size_lg2 + shift_;
    if (stored_lg2 == own_size_lg2(level)) return e | address << shift_;
    return e | Entry{encoded_size} << 9 | align_down(address << shift_, stored_lg2) | (low_bits(stored_lg2 - 1) & address_bits);
  }
  constexpr unsigned leaf_size_lg2(Entry e, unsigned level, std::uint64_t) const {
    return (next_field(e) == encoded_size ? encoded_size_lg2(e) : own_size_lg2(level)) - shift_;
  }
  constexpr std::uint64_t leaf_address(Entry e, unsigned level, std::uint64_t input) const {
    return align_down((e & address_bits) >> shift_, leaf_size_lg2(e, level, input));
  }
  constexpr Attributes attributes(Entry e, unsigned) const {
    return {.access = table_rights(e, 0), .memory = MemoryType::normal, .coherent = (e & force_coherent) != 0};
  }

  constexpr Entry touched(Entry e, unsigned, bool writes) const {
    unsigned const next = next_field(e);
    bool const leaf = next == 0 || next == encoded_size;
    return e | (accessed_updates_ ? accessed : 0) | (dirty_updates_ && writes && leaf ? dirty : 0);
  }
  constexpr bool tracks_accessed() const { return accessed_updates_; }
  constexpr Entry accessed_bit() const { return accessed; }
  constexpr bool is_accessed(Entry e) const { return (e & accessed) != 0; }
  constexpr Entry without_accessed(Entry e) const { return e & ~accessed; }
  constexpr bool tracks_dirty() const { return dirty_updates_; }
  constexpr Entry dirty_bit() const { return dirty; }
  constexpr bool is_dirty(Entry e) const { return (e & dirty) != 0; }
  constexpr Entry without_dirty(Entry e) const { return e & ~dirty; }

  static constexpr std::span<BitName const> bit_names() { return names; }

 private:
  static constexpr Entry present = bit(0), accessed = bit(5), dirty = bit(6), force_coherent = bit(60), read = bit(61),
                         write = bit(62), address_bits = bit_span(51, 12);
  static constexpr unsigned encoded_size = 7;  // the value of NextLevel
  static constexpr BitName names[] = {{62, "IW"},          {61, "IR"},         {60, "FC"}, {59, "U"}, {11, "NextLevel.2"},
                                      {10, "NextLevel.1"}, {9, "NextLevel.0"}, {6, "D"},   {5, "A"},  {0, "PR"}};

  static constexpr Geometry shape(unsigned levels, unsigned shift) {
    Geometry g = radix(levels, 12, 0, levels == 6 ? 64 + shift : 0);
    for (unsigned l = 0; l < g.levels; l++) g.level[l].shift = static_cast<std::uint8_t>(g.level[l].shift - shift);
    return g;
  }

  static constexpr unsigned next_field(Entry e) { return static_cast<unsigned>(e >> 9 & 7); }
  // Sizes as stored.
  static constexpr unsigned own_size_lg2(unsigned level) { return 12 + 9 * level; }
  // 13 for an even frame number, up to 53 if all address bits are ones.
  static constexpr unsigned encoded_size_lg2(Entry e) {
    return 13 + static_cast<unsigned>(std::countr_one((e & address_bits) >> 12));
  }

  static constexpr bool well_formed(Entry e, unsigned level, unsigned next, bool leaf) {
    if (!leaf) return next <= level && (e & bit_span(60, 52)) == 0;
    if (level > 4 || (e & bit_span(58, 52)) != 0) return false;
    if (next == 0) return true;
    unsigned const size = encoded_size_lg2(e), own = own_size_lg2(level);
    return size > own && size < own + 9 && size <= 52;
  }
  // The ones that encode the size are no part of the address.
  constexpr bool names_beyond_output(Entry e, unsigned next) const {
    Entry const address = next == encoded_size ? align_down(e, encoded_size_lg2(e)) : e;
    return (address & beyond_output_) != 0;
  }

  unsigned shift_;  // of an address as stored
  Geometry geometry_;
  unsigned output_bits_;
  Entry beyond_output_;
  std::uint64_t offered_;
  bool accessed_updates_;
  bool dirty_updates_;
};

static_assert(PageTableFormat<AmdV1> && CombinesRights<AmdV1> && SkipsLevels<AmdV1> && ExplainsMalformed<AmdV1> &&
              TracksAccessed<AmdV1> && TracksDirty<AmdV1>);

}  // namespace swiommu
