// x86-64 tables as an IOMMU reads them: Intel VT-d first-stage tables ("Intel Virtualization Technology for Directed I/O",
// section 9.7 "First-Stage Paging Entries"; the walk: section 3.6) and AMD v2 tables ("AMD I/O Virtualization Technology
// (IOMMU) Specification", 48882, section 2.2.6 "I/O page tables for guest translations"; the entries are those of long mode,
// AMD64 Architecture Programmer's Manual volume 2, section 5.3).
//
// The manuals' PTE, PDE, PDPE, PML4E and PML5E are our levels 0 to 4. Everything present is readable. R/W and U/S are
// combined along the path. A device without privileged requests makes user requests, the only kind known here: an entry
// with U/S = 0 gives no right at all.
// Checked where P = 1: bit 7 at levels 3 and 4; bits 20:13 of a 2 MiB leaf and 29:13 of a 1 GiB leaf (bit 12 is PAT);
// address bits at and above the output size. Not checked where P = 0.
// Ignored: bits 11:9 (EA, bit 10, only records accesses of another kind), bit 8 (G; AMD64 reserves it at level 3, VT-d does
// not), 62:52, and XD: it says something about execute requests only, which current revisions of VT-d do not have.
// Memory type: PWT and PCD select from the usual PAT (WB, WT, UC-, UC, and the same again with the PAT bit): WB and WT are
// normal, UC- is noncacheable, UC is device.
//
// AMD translates requests without a PASID as PASID 0 and without a sign: configure zero_extended, and the lower half of the
// table takes 47 or 56 input bits.
// VT-d sets A in every entry of the path and D in leaves, always. Here the configuration says so; D is never set without A.
#pragma once
#include "page_table/format.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

class X86_64 {
 public:
  using Entry = std::uint64_t;

  explicit constexpr X86_64(FormatConfiguration const& c)
      : geometry_(shape(c.levels ? c.levels : 4, c.zero_extended)),
        output_bits_(c.output_bits ? c.output_bits : 52),
        beyond_output_(bit_span(51, 0) & ~low_bits(output_bits_)),
        offered_(offered_sizes(c)),
        accessed_updates_(c.accessed_updates || c.dirty_updates),
        dirty_updates_(c.dirty_updates) {}

  static Result<void> check(FormatConfiguration const& c) {
    if (c.levels != 0 && c.levels != 4 && c.levels != 5) return fail(EINVAL, "x86-64 tables have 4 or 5 levels");
    if (c.output_bits != 0 && (c.output_bits < 32 || c.output_bits > 52))
      return fail(EINVAL, "x86-64 tables output 32 to 52 bits");
    return {};
  }

  constexpr Geometry const& geometry() const { return geometry_; }
  constexpr unsigned output_bits() const { return output_bits_; }

  constexpr EntryKind kind(Entry e, unsigned level) const {
    if ((e & present) == 0) return EntryKind::empty;
    bool const leaf = is_leaf(e, level);
    if (leaf && level > 2) return EntryKind::malformed;
    Entry const below = leaf && level != 0 ? bit_span(11 + 9 * level, 13) : 0;
    if ((e & (below | beyond_output_)) != 0) return EntryKind::malformed;
    return leaf ? EntryKind::leaf : EntryKind::table;
  }

  constexpr Entry empty(unsigned) const { return 0; }
  constexpr Entry table(std::uint64_t address, unsigned) const { return address | present | writable | user | accessed; }
  constexpr std::uint64_t table_address(Entry e, unsigned) const { return e & bit_span(51, 12); }
  constexpr Access table_rights(Entry e, unsigned) const {
    return {.read = (e & user) != 0, .write = (e & (user | writable)) == (user | writable)};
  }
  constexpr WordPattern<Entry> plain_table(unsigned) const {
    Entry const flags = present | writable | user | (accessed_updates_ ? accessed : 0);
    return {.mask = flags | page_size | beyond_output_, .value = flags};
  }

  constexpr std::uint64_t leaf_sizes(unsigned level) const { return level <= 2 ? bit(12 + 9 * level) & offered_ : 0; }
  // Already accessed, so that hardware that faults on a clear A, or writes it, has nothing to do; already dirty where nobody
  // wants to know. A mapping that may only be written can also be read.
  constexpr Entry leaf(std::uint64_t address, unsigned level, unsigned, Attributes a) const {
    Entry e = address | present | accessed | memory_bits(a.memory) | (level ? page_size : 0);
    if (a.access.read || a.access.write) e |= user;
    if (a.access.write) e |= writable | (dirty_updates_ ? 0 : dirty);
    return e;
  }
  constexpr unsigned leaf_size_lg2(Entry, unsigned level, std::uint64_t) const { return 12 + 9 * level; }
  constexpr std::uint64_t leaf_address(Entry e, unsigned level, std::uint64_t) const { return e & bit_span(51, 12 + 9 * level); }
  constexpr Attributes attributes(Entry e, unsigned level) const {
    return {.access = table_rights(e, level), .memory = memory_type(e), .coherent = false};
  }

  constexpr Entry touched(Entry e, unsigned level, bool writes) const {
    return e | (accessed_updates_ ? accessed : 0) | (dirty_updates_ && writes && is_leaf(e, level) ? dirty : 0);
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
  static constexpr Entry present = bit(0), writable = bit(1), user = bit(2), write_through = bit(3), cache_disable = bit(4),
                         accessed = bit(5), dirty = bit(6), page_size = bit(7);
  // Bit 7 is PAT at level 0.
  static constexpr BitName names[] = {{63, "XD"}, {10, "EA"}, {8, "G"},   {7, "PS/PAT"}, {6, "D"}, {5, "A"},
                                      {4, "PCD"}, {3, "PWT"}, {2, "U/S"}, {1, "R/W"},    {0, "P"}};

  static constexpr Geometry shape(unsigned levels, bool zero_extended) {
    unsigned const half = levels == 5 ? 56 : 47;
    Geometry g = radix(levels, 12, 0, zero_extended ? half : 0);
    g.extension = zero_extended ? Extension::zero : Extension::sign;
    return g;
  }

  static constexpr bool is_leaf(Entry e, unsigned level) { return level == 0 || (e & page_size) != 0; }

  static constexpr Entry memory_bits(MemoryType m) {
    switch (m) {
      case MemoryType::normal: return 0;
      case MemoryType::noncacheable: return cache_disable;
      case MemoryType::device: return cache_disable | write_through;
    }
    return 0;
  }
  static constexpr MemoryType memory_type(Entry e) {
    if ((e & cache_disable) == 0) return MemoryType::normal;
    return (e & write_through) != 0 ? MemoryType::device : MemoryType::noncacheable;
  }

  Geometry geometry_;
  unsigned output_bits_;
  Entry beyond_output_;
  std::uint64_t offered_;
  bool accessed_updates_;
  bool dirty_updates_;
};

static_assert(PageTableFormat<X86_64> && CombinesRights<X86_64> && TracksAccessed<X86_64> && TracksDirty<X86_64>);

}  // namespace swiommu
