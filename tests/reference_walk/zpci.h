// s390 zPCI I/O address translation (region-first, -second, -third, segment and page tables).
//
// The I/O architecture itself is not published.  What is known, and from where:
//   [L] Linux, arch/s390 pci_dma.h and the s390 IOMMU driver: entries of 8 bytes; 2048 entries a
//       region or segment table, 256 a page table, 4 KiB pages; designation types 0 to 3 (segment,
//       region-third, -second, -first) equal to the table-type bits; masks for type 0x0c, length
//       0x03, offset 0xc0, invalid 0x20 (page: 0x400), protection 0x200 "shared" by all levels;
//       origins masked by 0x3fff (region entry), 0x7ff (segment), 0xfff (page).  Linux makes only
//       whole tables (offset 0, length 3).
//   [P] z/Architecture Principles of Operation, "Dynamic Address Translation": CPU tables have the
//       same layout, so the meaning of offset, length, FC and the order of checks is taken from it
//       (compared with Linux KVM's and QEMU's CPU translation, not with the manual's text).
//   [Q] QEMU's emulation of zPCI (region-third designation only): what it does differently is an
//       option below.  It is an emulator's choice, not the architecture.
// Uncertain, therefore options: everything in ZpciOptions.  Not modelled: the DMA range (PBA, PAL),
// storage keys and fetch protection, designation types 4 to 7, the common-segment bit.
#pragma once

#include "reference_walk/walk_result.h"

namespace reference_walk {

enum class ZpciTable { segment = 0, region_third = 1, region_second = 2, region_first = 3 };

struct ZpciRoot {
  ZpciTable type = ZpciTable::region_third;
  std::uint64_t origin = 0;
  unsigned length = 3;     // [P] the designation's table length; no such field in [L]
  bool read_only = false;  // [Q] bit 0x200 of the I/O translation anchor
};

enum class ZpciFrames { fault, ignored, allowed };              // what an entry with FC = 1 does
enum class ZpciBounds { checked, whole_tables_only, ignored };  // [P], [Q], neither

struct ZpciOptions {
  ZpciFrames one_mib = ZpciFrames::fault;  // FC in a segment entry; [Q] allows
  ZpciFrames two_gib = ZpciFrames::fault;  // FC in a region-third entry; [Q] ignores
  ZpciBounds bounds = ZpciBounds::checked;
  bool region_protection = true;     // [L], [Q], and [P] with EDAT-1; false: [P] without
  bool high_bits_fault = true;       // [P]; false: bits beyond the designation are ignored [Q]
  bool page_zero_bit_faults = true;  // [P] bit 0x800 of a page entry must be zero; [Q] ignores
  bool zero_entry_faults = false;    // [Q] an entry that is all zero is an error
  unsigned region_origin_lg2 = 12;   // [P]; 14: as [L] masks a region entry's origin
};

namespace zpci_detail {

struct Walk {
  ReadWord const& memory;
  ZpciOptions const& options;
  std::uint64_t address;
  Kind kind;

  static unsigned shift(ZpciTable table) { return 20 + 11 * static_cast<unsigned>(table); }
  std::uint64_t index(ZpciTable table) const { return field(address, shift(table) + 10, shift(table)); }
  // Offset and length count quarters of a table: the two leftmost bits of its index.
  std::uint64_t quarter(ZpciTable table) const { return index(table) >> 9; }

  std::optional<std::uint64_t> entry_at(std::uint64_t at) const {
    std::optional<std::uint64_t> const word = memory(at, 8);
    if (!word) return std::nullopt;
    return std::byteswap(*word);
  }

  Answer done(std::uint64_t frame, unsigned size_lg2, bool read_only) const {
    if (kind == Kind::write && read_only) return fault("write to a protected page");
    return reached(frame, address, size_lg2);
  }

  // [P] "Region-Table Entries", "Segment-Table Entries", and the lookup of each.
  Answer level(ZpciTable table, std::uint64_t origin, bool read_only) const {
    std::optional<std::uint64_t> const word = entry_at(origin + 8 * index(table));
    if (!word) return fault("no memory at the region or segment entry");
    std::uint64_t const entry = *word;
    bool const segment = table == ZpciTable::segment;
    if (entry == 0 && options.zero_entry_faults) return fault("entry all zero");
    if (entry & 0x20) return fault("region or segment invalid");
    if (field(entry, 3, 2) != static_cast<unsigned>(table)) return fault("wrong table type");
    if ((entry & 0x200) && (segment || options.region_protection)) read_only = true;

    if ((entry & 0x400) && (segment || table == ZpciTable::region_third)) {
      ZpciFrames const frames = segment ? options.one_mib : options.two_gib;
      if (frames == ZpciFrames::fault) return fault("large frame not allowed");
      if (frames == ZpciFrames::allowed)  // [P] its protection bit counts in any case
        return done(entry, segment ? 20 : 31, read_only || (entry & 0x200));
    }
    if (segment) return page((entry >> 11) << 11, read_only);

    ZpciTable const next = static_cast<ZpciTable>(static_cast<unsigned>(table) - 1);
    std::uint64_t const offset = field(entry, 7, 6), length = field(entry, 1, 0);
    if (options.bounds == ZpciBounds::checked && (quarter(next) < offset || quarter(next) > length))
      return fault("index outside the table's offset and length");
    if (options.bounds == ZpciBounds::whole_tables_only && (offset != 0 || length != 3)) return fault("table not whole");
    unsigned const low = options.region_origin_lg2;
    return level(next, (entry >> low) << low, read_only);
  }

  // [P] "Page-Table Entries".
  Answer page(std::uint64_t origin, bool read_only) const {
    std::optional<std::uint64_t> const word = entry_at(origin + 8 * field(address, 19, 12));
    if (!word) return fault("no memory at the page entry");
    std::uint64_t const entry = *word;
    if (entry == 0 && options.zero_entry_faults) return fault("entry all zero");
    if (entry & 0x400) return fault("page invalid");
    if ((entry & 0x800) && options.page_zero_bit_faults) return fault("zero bit of a page entry");
    return done(entry, 12, read_only || (entry & 0x200));
  }
};

}  // namespace zpci_detail

inline Answer walk_zpci(ReadWord const& memory, ZpciRoot const& root, ZpciOptions const& options, std::uint64_t address,
                        Kind kind) {
  unsigned const top = zpci_detail::Walk::shift(root.type) + 11;  // 31, 42, 53, 64
  if (options.high_bits_fault && top < 64 && address >> top != 0) return fault("address beyond the designation");
  return with_rights(kind, [&](Kind each) {
    zpci_detail::Walk const walk{memory, options, address, each};
    if (walk.quarter(root.type) > root.length) return fault("index beyond the root's length");
    return walk.level(root.type, root.origin, root.read_only);
  });
}

inline Walker zpci_walker(ZpciRoot root, ZpciOptions options = {}) {
  return
      [=](ReadWord const& memory, std::uint64_t address, Kind kind) { return walk_zpci(memory, root, options, address, kind); };
}

}  // namespace reference_walk
