// Intel VT-d second-stage tables: "Intel Virtualization Technology for Directed I/O", section 9.8.
//
// The manual's SS-PTE, SS-PDE, SS-PDPE, SS-PML4E and SS-PML5E are our levels 0 to 4. There is no present bit: an entry
// with neither R nor W is not present, whatever else it holds (X counts only for execute requests, which current revisions
// do not have). R and W are combined along the path (section 3.7.1).
// Checked (section 7.1.3 "reserved fields"): bit 7 at levels 3 and 4; bit 11 of a table entry, and of a leaf (SNP) where snoop
// control is not announced (ECAP.SC = 0); bit 62 (TM until revision 3.2, reserved since); the address bits below the size of a
// large leaf; address bits at and above the output size.
// Ignored: bits 2, 10, 61:52, 63, bit 7 at level 0, bits 6:3 (IPAT and EMT of a leaf, which say nothing to a walker without
// caches), and A and D without SSADE.
// A and D are enabled together, by SSADE of the PASID entry: either accessed_updates or dirty_updates stands for it.
#pragma once
#include "page_table/format.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

class VtdSecondStage {
 public:
  using Entry = std::uint64_t;

  explicit constexpr VtdSecondStage(FormatConfiguration const& c)
      : geometry_(radix(c.levels ? c.levels : 4)),
        output_bits_(c.output_bits ? c.output_bits : 52),
        offered_(offered_sizes(c)),
        snoop_(c.snoop_control ? snoop : 0),
        reserved_in_leaf_(reserved_in_table_ & ~snoop_),
        updates_(c.accessed_updates || c.dirty_updates) {}

  static Result<void> check(FormatConfiguration const& c) {
    if (c.levels != 0 && (c.levels < 3 || c.levels > 5)) return fail(EINVAL, "VT-d second stage has 3, 4 or 5 levels");
    if (c.output_bits != 0 && (c.output_bits < 32 || c.output_bits > 52))
      return fail(EINVAL, "VT-d second stage outputs 32 to 52 bits");
    return {};
  }

  constexpr Geometry const& geometry() const { return geometry_; }
  constexpr unsigned output_bits() const { return output_bits_; }

  constexpr EntryKind kind(Entry e, unsigned level) const {
    if ((e & (read | write)) == 0) return EntryKind::empty;
    bool const leaf = is_leaf(e, level);
    if (leaf && level > 2) return EntryKind::malformed;
    if ((e & (leaf ? bit_span(11 + 9 * level, 12) | reserved_in_leaf_ : reserved_in_table_)) != 0) return EntryKind::malformed;
    return leaf ? EntryKind::leaf : EntryKind::table;
  }

  constexpr Entry empty(unsigned) const { return 0; }
  constexpr Entry table(std::uint64_t address, unsigned) const { return address | read | write; }
  constexpr std::uint64_t table_address(Entry e, unsigned) const { return e & bit_span(51, 12); }
  constexpr Access table_rights(Entry e, unsigned) const { return {(e & read) != 0, (e & write) != 0}; }
  constexpr WordPattern<Entry> plain_table(unsigned) const {
    Entry const flags = read | write | (updates_ ? accessed : 0);
    return {.mask = flags | page_size | reserved_in_table_, .value = flags};
  }

  constexpr std::uint64_t leaf_sizes(unsigned level) const { return level <= 2 ? bit(12 + 9 * level) & offered_ : 0; }
  constexpr Entry leaf(std::uint64_t address, unsigned level, unsigned, Attributes a) const {
    return address | (a.access.read ? read : 0) | (a.access.write ? write : 0) | (level ? page_size : 0) |
           (a.coherent ? snoop_ : 0);
  }
  constexpr unsigned leaf_size_lg2(Entry, unsigned level, std::uint64_t) const { return 12 + 9 * level; }
  constexpr std::uint64_t leaf_address(Entry e, unsigned level, std::uint64_t) const { return e & bit_span(51, 12 + 9 * level); }
  constexpr Attributes attributes(Entry e, unsigned) const {
    return {.access = table_rights(e, 0), .memory = MemoryType::normal, .coherent = (e & snoop) != 0};
  }

  constexpr Entry touched(Entry e, unsigned level, bool writes) const {
    if (!updates_) return e;
    return e | accessed | (writes && is_leaf(e, level) ? dirty : 0);
  }
  constexpr bool tracks_accessed() const { return updates_; }
  constexpr Entry accessed_bit() const { return accessed; }
  constexpr bool is_accessed(Entry e) const { return (e & accessed) != 0; }
  constexpr Entry without_accessed(Entry e) const { return e & ~accessed; }
  constexpr bool tracks_dirty() const { return updates_; }
  constexpr Entry dirty_bit() const { return dirty; }
  constexpr bool is_dirty(Entry e) const { return (e & dirty) != 0; }
  constexpr Entry without_dirty(Entry e) const { return e & ~dirty; }

  static constexpr std::span<BitName const> bit_names() { return names; }

 private:
  static constexpr Entry read = bit(0), write = bit(1), page_size = bit(7), accessed = bit(8), dirty = bit(9), snoop = bit(11),
                         transient = bit(62);
  static constexpr BitName names[] = {{62, "TM"},   {11, "SNP"},  {9, "D"},     {8, "A"}, {7, "PS"}, {6, "IPAT"},
                                      {5, "EMT.2"}, {4, "EMT.1"}, {3, "EMT.0"}, {2, "X"}, {1, "W"},  {0, "R"}};

  static constexpr bool is_leaf(Entry e, unsigned level) { return level == 0 || (e & page_size) != 0; }

  Geometry geometry_;
  unsigned output_bits_;
  Entry reserved_in_table_ = (bit_span(51, 0) & ~low_bits(output_bits_)) | snoop | transient;
  std::uint64_t offered_;
  Entry snoop_;             // SNP, if there is one
  Entry reserved_in_leaf_;  // of whatever size
  bool updates_;
};

static_assert(PageTableFormat<VtdSecondStage> && CombinesRights<VtdSecondStage> && TracksAccessed<VtdSecondStage> &&
              TracksDirty<VtdSecondStage>);

}  // namespace swiommu
