// RISC-V Sv39, Sv48, Sv57 (single or first stage) and Sv39x4, Sv48x4, Sv57x4 (second stage).
//
// Sources: RISC-V Privileged ISA, chapter "Supervisor-Level ISA" (sections "Virtual Address
// Translation Process", "Sv39", "Sv48", "Sv57", and the extensions Svnapot, Svpbmt, Svrsw60t59b),
// chapter "Hypervisor Extension" (section "Guest Physical Address Translation"); RISC-V IOMMU
// Architecture, chapter "Data Structures" (sections "Process to translate an IOVA", "Endianness of
// in-memory data structures").
//
// Not modelled: execute accesses and MXR (an execute-only page cannot be read), physical memory
// protection other than ReadWord's nullopt, a physical address narrower than the 56 bits of the
// PTE, shadow-stack pages (XWR = 010 stays reserved for I/O: RISC-V IOMMU, "Process to translate an
// IOVA").  The G bit and the two RSW bits are ignored, as the manual says.
#pragma once

#include "reference_walk/walk_result.h"

namespace reference_walk {

enum class RiscvMode { sv39, sv48, sv57, sv39x4, sv48x4, sv57x4 };

struct RiscvOptions {
  bool svnapot = false;
  bool svpbmt = false;
  bool adue = false;         // true: hardware sets A and D; false: the access faults (Svade)
  bool user = true;          // privilege of the access; without meaning in the x4 modes
  bool sum = false;          // a supervisor access may use pages with U = 1
  bool svrsw60t59b = false;  // bits 60:59 are software's, no longer reserved
  bool big_endian = false;   // IOMMU fctl.BE or DC.tc.SBE: the tables are big-endian
};

namespace riscv_detail {

struct Walk {
  ReadWord const& memory;
  RiscvOptions const& options;
  unsigned levels;
  bool second_stage;
  std::uint64_t address;
  Kind kind;

  // "Virtual Address Translation Process", steps 2 to 4, for level i; the root is levels - 1.
  Answer level(unsigned i, std::uint64_t table) const {
    // "Guest Physical Address Translation": the root of an x4 mode has two index bits more.
    unsigned const index_bits = second_stage && i == levels - 1 ? 11 : 9;
    unsigned const shift = 12 + 9 * i;
    std::uint64_t const at = table + 8 * field(address, shift + index_bits - 1, shift);
    std::optional<std::uint64_t> const word = memory(at, 8);
    if (!word) return fault("no memory at the page-table entry");
    std::uint64_t const pte = options.big_endian ? std::byteswap(*word) : *word;

    bool const r = bit(pte, 1), w = bit(pte, 2), x = bit(pte, 3);
    bool const napot = bit(pte, 63);
    std::uint64_t const pbmt = field(pte, 62, 61);
    if (!bit(pte, 0)) return fault("V = 0");
    if (w && !r) return fault("W without R");
    // "Sv39": bits 60:54 reserved, 63 without Svnapot, 62:61 without Svpbmt; any set: fault.
    if (field(pte, options.svrsw60t59b ? 58 : 60, 54) != 0) return fault("reserved bit of 60:54");
    if (napot && !options.svnapot) return fault("N without Svnapot");
    if (pbmt != 0 && !options.svpbmt) return fault("PBMT without Svpbmt");
    if (r || x) return leaf(i, at, pte);

    // A pointer.  D, A and U are reserved in it ("Addressing and Memory Protection" of Sv32),
    // so are 62:61 ("Svpbmt"); N has valid encodings for leaves only ("Svnapot").
    if (bit(pte, 7) || bit(pte, 6) || bit(pte, 4)) return fault("D, A or U in a pointer");
    if (napot) return fault("N in a pointer");
    if (pbmt != 0) return fault("PBMT in a pointer");
    if (i == 0) return fault("a pointer at the last level");
    return level(i - 1, field(pte, 53, 10) << 12);
  }

  // Steps 5 to 10.
  Answer leaf(unsigned i, std::uint64_t at, std::uint64_t pte) const {
    std::uint64_t const ppn = field(pte, 53, 10);
    unsigned size_lg2 = 12 + 9 * i;
    if (field(pte, 62, 61) == 3) return fault("PBMT = 3");
    if (bit(pte, 63)) {  // "Svnapot", table of encodings: only level 0 with ppn[3:0] = 1000
      if (i != 0) return fault("N in a superpage");
      if (field(ppn, 3, 0) != 8) return fault("N with a reserved size");
      size_lg2 = 16;
    } else if (i > 0 && field(ppn, 9 * i - 1, 0) != 0) {
      return fault("misaligned superpage");
    }

    bool const u = bit(pte, 4);
    if (second_stage || options.user) {  // second stage: always taken to be U-mode
      if (!u) return fault("U = 0 for a user access");
    } else if (u && !options.sum) {
      return fault("U = 1 for a supervisor access without SUM");
    }
    if (kind == Kind::read && !bit(pte, 1)) return fault("R = 0 for a read");
    if (kind == Kind::write && !bit(pte, 2)) return fault("W = 0 for a write");

    bool const stale = !bit(pte, 6) || (kind == Kind::write && !bit(pte, 7));
    if (stale && !options.adue) return fault("A = 0, or D = 0 for a write");

    Answer answer = reached(ppn << 12, address, size_lg2);
    answer.pbmt = static_cast<unsigned>(field(pte, 62, 61));
    if (stale) answer.updated_entry = at;
    return answer;
  }
};

}  // namespace riscv_detail

// `root`: the address of the root table (the PPN of satp, hgatp, iosatp, iohgatp times 4096).
inline Answer walk_riscv(ReadWord const& memory, RiscvMode mode, std::uint64_t root, RiscvOptions const& options,
                         std::uint64_t address, Kind kind) {
  unsigned const number = static_cast<unsigned>(mode);
  bool const second_stage = number >= 3;
  unsigned const levels = 3 + number % 3;
  unsigned const width = 12 + 9 * levels + (second_stage ? 2 : 0);
  if (second_stage) {
    // "Guest Physical Address Translation": higher bits all zero, root aligned to 16 KiB.
    if (address >> width != 0) return fault("guest address too wide");
    if (field(root, 13, 0) != 0) return fault("root table not aligned to 16 KiB");
  } else {
    // "Sv39", "Sv48", "Sv57": all higher bits equal to the highest translated one.
    std::uint64_t const high = field(address, 63, width - 1);
    if (high != 0 && high != field(~std::uint64_t{0}, 63, width - 1)) return fault("address not sign-extended");
  }
  return with_rights(kind, [&](Kind each) {
    return riscv_detail::Walk{memory, options, levels, second_stage, address, each}.level(levels - 1, root);
  });
}

inline Walker riscv_walker(RiscvMode mode, std::uint64_t root, RiscvOptions options = {}) {
  return [=](ReadWord const& memory, std::uint64_t address, Kind kind) {
    return walk_riscv(memory, mode, root, options, address, kind);
  };
}

}  // namespace reference_walk
