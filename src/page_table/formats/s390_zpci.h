// s390 zPCI I/O translation tables. There is no public manual: the facts are what Linux (arch/s390/include/asm/pci_dma.h,
// drivers/iommu/s390-iommu.c) writes and what QEMU (hw/s390x/s390-pci-bus.c) understands. Where they leave a question open the
// answer is marked "unverified", and follows the CPU's tables ("z/Architecture Principles of Operation", SA22-7832,
// "Dynamic Address Translation"), which these resemble.
//
// The page, segment, region-third, region-second and region-first tables are our levels 0 to 4. Which one is the root is the
// designation type (DT) of the I/O translation anchor: STO 2 levels and 31 input bits, RTTO 3 and 42, RSTO 4 and 53, RFTO 5
// and 64. Words are big-endian in memory. Region and segment tables have 2048 items, page tables 256.
//
//   region    address 63:14   P bit 9   TF bits 7:6   I bit 5   TT bits 3:2   TL bits 1:0
//   segment   address 63:11   FC bit 10   P bit 9   I bit 5   TT bits 3:2
//   page      address 63:12   I bit 10   P bit 9
//
// TT says in which table an entry lies: 3 region-first, 2 region-second, 1 region-third, 0 segment. P (no writes) is combined
// along the path; what is valid can be read. Of the next table, a region entry provides the items from TF * 512 to
// TL * 512 + 511 only, others count as not mapped (unverified: Linux writes TF = 0, TL = 3, and QEMU refuses all else).
// Page tables are always whole.
// A segment entry with FC = 1 is a leaf of 1 MiB (QEMU; unverified: what Linux writes has none, so we write none).
//
// Checked where I = 0: TT; the word 0 at levels above 0 (QEMU: invalid table entry); address bits at and above the output
// size, if one is configured. Ignored (unverified): all bits not listed above; TF and TL of segment entries.
// The page entry 0 is taken for a writable page at address 0, as the masks of Linux have it (unverified: QEMU refuses it).
#pragma once
#include "page_table/format.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

class S390Zpci {
 public:
  using Entry = std::uint64_t;

  explicit constexpr S390Zpci(FormatConfiguration const& c)
      : geometry_(shape(c.levels ? c.levels : 3)), output_bits_(c.output_bits ? c.output_bits : 64) {}

  static Result<void> check(FormatConfiguration const& c) {
    if (c.levels != 0 && (c.levels < 2 || c.levels > 5)) return fail(EINVAL, "s390 zPCI tables have 2 to 5 levels");
    if (c.output_bits != 0 && (c.output_bits < 32 || c.output_bits > 64))
      return fail(EINVAL, "s390 zPCI tables output 32 to 64 bits");
    return {};
  }

  constexpr Geometry const& geometry() const { return geometry_; }
  constexpr unsigned output_bits() const { return output_bits_; }

  constexpr EntryKind kind(Entry e, unsigned level) const {
    if ((e & (level ? invalid : page_invalid)) != 0) return EntryKind::empty;
    if (!well_formed(e, level) || (e & ~low_bits(output_bits_)) != 0) return EntryKind::malformed;
    return is_leaf(e, level) ? EntryKind::leaf : EntryKind::table;
  }
  constexpr Reason reason(Entry e, unsigned level) const {
    return well_formed(e, level) ? Reason::address_size : Reason::malformed;
  }

  constexpr Entry empty(unsigned level) const { return level ? invalid : page_invalid; }
  constexpr Entry table(std::uint64_t address, unsigned level) const {
    return address | Entry{level - 1} << 2 | (level > 1 ? whole_table : 0);
  }
  constexpr std::uint64_t table_address(Entry e, unsigned level) const { return align_down(e, level > 1 ? 14 : 11); }
  constexpr Access table_rights(Entry e, unsigned) const { return {.read = true, .write = (e & protect) == 0}; }
  // None of a segment table: only a look at the whole word tells one from 0, which is malformed.
  constexpr WordPattern<Entry> plain_table(unsigned level) const {
    if (level == 1) return {};
    Entry const zero = invalid | protect | bit_span(7, 6) | ~low_bits(output_bits_);
    return {.mask = zero | bit_span(3, 0), .value = Entry{level - 1} << 2 | whole_table};
  }
  constexpr std::optional<Range> held_items(Entry e, unsigned level) const {
    if (level == 1) return Range{0, low_bits(geometry_.level[0].index_bits)};
    std::uint64_t const first = bit_field(e, 7, 6), last = bit_field(e, 1, 0);  // quarters
    if (first > last) return std::nullopt;
    return Range{first << 9, last << 9 | low_bits(9)};
  }

  constexpr std::uint64_t leaf_sizes(unsigned level) const { return level == 0 ? bit(12) : 0; }
  // Reading cannot be forbidden.
  constexpr Entry leaf(std::uint64_t address, unsigned, unsigned, Attributes a) const {
    return address | (a.access.write ? 0 : protect);
  }
  constexpr unsigned leaf_size_lg2(Entry, unsigned level, std::uint64_t) const { return level ? 20 : 12; }
  constexpr std::uint64_t leaf_address(Entry e, unsigned level, std::uint64_t) const { return align_down(e, level ? 20 : 12); }
  constexpr Attributes attributes(Entry e, unsigned level) const {
    return {.access = table_rights(e, level), .memory = MemoryType::normal, .coherent = false};
  }

  static constexpr std::span<BitName const> bit_names() { return names; }

 private:
  static constexpr Entry invalid = bit(5), page_invalid = bit(10), large = bit(10), protect = bit(9), whole_table = 3;
  // Bit 10 is I in a page entry, FC in a segment entry.
  static constexpr BitName names[] = {{10, "I/FC"}, {9, "P"},    {7, "TF.1"}, {6, "TF.0"}, {5, "I"},
                                      {3, "TT.1"},  {2, "TT.0"}, {1, "TL.1"}, {0, "TL.0"}};

  static constexpr Geometry shape(unsigned levels) {
    Geometry g;
    g.levels = static_cast<std::uint8_t>(levels);
    g.level[0] = {.shift = 12, .index_bits = 8};
    for (unsigned l = 1; l < levels; l++) g.level[l] = {.shift = static_cast<std::uint8_t>(20 + 11 * (l - 1)), .index_bits = 11};
    return g;
  }

  static constexpr bool is_leaf(Entry e, unsigned level) { return level == 0 || (level == 1 && (e & large) != 0); }
  static constexpr bool well_formed(Entry e, unsigned level) { return level == 0 || (e != 0 && bit_field(e, 3, 2) == level - 1); }

  Geometry geometry_;
  unsigned output_bits_;
};

static_assert(PageTableFormat<S390Zpci> && CombinesRights<S390Zpci> && HasPartialTables<S390Zpci> && ExplainsMalformed<S390Zpci>);
static_assert(!UpdatesEntries<S390Zpci> && !SkipsLevels<S390Zpci>);

}  // namespace swiommu
