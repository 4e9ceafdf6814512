// x86-64 paging of four and five levels, as the I/O units use it: VT-d first stage, AMD-Vi guest
// translation (the tables a GCR3 entry points to).
//
// Sources: Intel SDM volume 3, chapter "Paging", sections "4-Level Paging and 5-Level Paging" (the
// entry formats), "Access Rights"; Intel VT-d specification, chapter on first-stage translation
// (canonical input, host address width, WPE, and the user privilege of a request without PASID);
// AMD64 APM volume 2, section "Long-Mode Page Translation" (PML4E and PML5E bit 8).
//
// The SDM's entry formats were compared with excerpts of its text; VT-d and AMD rules are from
// memory of the manuals, VT-d's reserved bits also compared with QEMU's masks.
//
// Not modelled: execute accesses, SMEP and SMAP, protection keys, the accessed and dirty bits (the
// answer does not depend on them), memory types.  Bits the manuals call ignored are ignored.
#pragma once

#include "reference_walk/walk_result.h"

namespace reference_walk {

struct X86Options {
  unsigned levels = 4;               // 4 or 5
  unsigned host_address_width = 52;  // address bits 51 down to this one are reserved in an entry
  bool nxe = true;                   // bit 63 is execute-disable (nothing here); false: reserved
  bool write_protect = true;         // WP, WPE: a supervisor write needs R/W too
  bool user = true;                  // privilege of the access (no PASID, or not privileged: user)
  bool one_gib_pages = true;         // false: PS in a PDPTE is reserved
  bool bit_8_reserved = false;       // AMD: bit 8 of a PML4E or PML5E must be zero; Intel: ignored
  bool canonical_check = true;       // false: the input bits above the levels are not looked at
};

namespace x86_detail {

struct Walk {
  ReadWord const& memory;
  const X86Options& options;
  std::uint64_t address;
  Kind kind;

  // Level 5 PML5, 4 PML4, 3 page-directory-pointer table, 2 page directory, 1 page table.
  // `writable` and `user` are the R/W and U/S bits of all entries so far, ANDed.
  Answer level(unsigned n, std::uint64_t table, bool writable, bool user) const {
    unsigned const shift = 12 + 9 * (n - 1);
    std::uint64_t const at = table + 8 * field(address, shift + 8, shift);
    std::optional<std::uint64_t> const word = memory(at, 8);
    if (!word) return fault("no memory at the paging entry");
    std::uint64_t const entry = *word;
    if (!bit(entry, 0)) return fault("P = 0");

    // "4-Level Paging and 5-Level Paging", the tables of entry formats.
    bool const page_size = bit(entry, 7);  // in a level-1 entry this bit is PAT
    if (options.host_address_width < 52 && field(entry, 51, options.host_address_width) != 0)
      return fault("address bit beyond the host address width");
    if (bit(entry, 63) && !options.nxe) return fault("bit 63 without NXE");
    if (n >= 4 && page_size) return fault("PS in a PML4E or PML5E");
    if (n >= 4 && bit(entry, 8) && options.bit_8_reserved) return fault("bit 8 in a PML4E or PML5E");
    if (n == 3 && page_size && !options.one_gib_pages) return fault("1 GiB page not supported");
    bool const large = page_size && (n == 2 || n == 3);
    // Bit 12 of a large page is PAT; from 13 to below the frame the bits are reserved.
    if (large && field(entry, shift - 1, 13) != 0) return fault("reserved bit in a large page");

    writable = writable && bit(entry, 1);
    user = user && bit(entry, 2);
    if (n > 1 && !large) return level(n - 1, field(entry, 51, 12) << 12, writable, user);

    // "Access Rights": any data read by a supervisor is allowed; its writes are bound by R/W
    // only with WP; a user access needs U/S at every level, and its writes R/W at every level.
    if (options.user && !user) return fault("user access to a supervisor page");
    if (kind == Kind::write && !writable && (options.user || options.write_protect)) return fault("write to a read-only page");
    return reached(field(entry, 51, shift) << shift, address, shift);
  }
};

}  // namespace x86_detail

// `root`: the address of the highest table (the address part of CR3, FSPTPTR, a GCR3 entry).
inline Answer walk_x86(ReadWord const& memory, std::uint64_t root, const X86Options& options, std::uint64_t address, Kind kind) {
  if (options.levels != 4 && options.levels != 5) return fault("levels must be 4 or 5");
  // VT-d, first-stage translation: bits 63:N equal to bit N-1, N = 48 or 57.
  unsigned const width = 12 + 9 * options.levels;
  std::uint64_t const high = field(address, 63, width - 1);
  if (options.canonical_check && high != 0 && high != field(~std::uint64_t{0}, 63, width - 1))
    return fault("address not canonical");
  return with_rights(kind, [&](Kind each) {
    x86_detail::Walk const walk{memory, options, address, each};
    return walk.level(options.levels, root, true, true);
  });
}

inline Walker x86_walker(std::uint64_t root, X86Options options = {}) {
  return [=](ReadWord const& memory, std::uint64_t address, Kind kind) { return walk_x86(memory, root, options, address, kind); };
}

}  // namespace reference_walk
