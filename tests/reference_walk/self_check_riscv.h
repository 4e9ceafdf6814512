// Checks of riscv.h.
#pragma once

#include "reference_walk/hand_built.h"
#include "reference_walk/riscv.h"

namespace reference_walk::self_check {

inline constexpr u64 V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128, N = u64{1} << 63;
inline constexpr u64 rw = V | R | W | U | A | D;
constexpr u64 pte(u64 address, u64 bits) { return (address >> 12) << 10 | bits; }

inline void check_riscv() {
  for (const unsigned levels : {3u, 4u, 5u}) {
    // All indices 1, from the root at 0x10000 (of 16 KiB for x4), the next at 0x14000, to a
    // page.
    Memory m;
    u64 address = 0x123;
    for (unsigned i = levels; i-- > 0;) {
      u64 const next = 0x14000 + 0x1000 * (levels - 1 - i);
      u64 const table = i == levels - 1 ? 0x10000 : next - 0x1000;
      m.put(table + 8, i ? pte(next, V | G) : pte(0x7654000, rw));
      address |= u64{1} << (12 + 9 * i);
    }
    auto const mode = static_cast<RiscvMode>(levels - 3);
    const auto mode_x4 = static_cast<RiscvMode>(levels);
    unsigned const width = 12 + 9 * levels;
    hits(m, riscv_walker(mode, 0x10000), address, 0x7654123, 12, true);
    hits(m, riscv_walker(mode_x4, 0x10000), address, 0x7654123, 12, true);
    faults(m, riscv_walker(mode, 0x10000), address | u64{1} << 63, "sign-extended");
    faults(m, riscv_walker(mode, 0x10000), address | u64{1} << (width - 1), "sign-extended");
    faults(m, riscv_walker(mode_x4, 0x10000), address | u64{1} << (width + 2), "too wide");
    faults(m, riscv_walker(mode_x4, 0x11000), address, "16 KiB");
    faults(m, riscv_walker(mode, 0x10000), 0x123, "no memory");
    // The upper half: the root's index has its top bit set.
    m.put(0x10000 + 8 * 0x101, pte(0x14000, V));
    u64 const negative = address | ~u64{0} << (width - 1);
    hits(m, riscv_walker(mode, 0x10000), negative, 0x7654123, 12, true);
    // The two more bits of an x4 root: index 0x601, a leaf, unlike index 1.
    m.put(0x10000 + 8 * 0x601, pte(u64{5} << (width - 9), rw));
    hits(m, riscv_walker(mode_x4, 0x10000), address | u64{3} << width, u64{5} << (width - 9) | field(address, width - 10, 0),
         width - 9, true);
    // A leaf in the root.
    m.put(0x10000 + 8, pte(u64{3} << (width - 9), rw));
    hits(m, riscv_walker(mode, 0x10000), address, u64{3} << (width - 9) | field(address, width - 10, 0), width - 9, true);
    m.put(0x10000 + 8, pte((u64{3} << (width - 9)) + 0x1000, rw));
    faults(m, riscv_walker(mode, 0x10000), address, "misaligned");
  }

  // One Sv39 path whose last two entries change: address 0x40201000 has indices 1, 1, 1.
  u64 const address = 0x40201abc;
  auto const with = [](u64 middle, u64 last, bool big = false) {
    Memory m;
    auto const put = [&](u64 at, u64 value) { big ? m.put_big(at, value) : m.put(at, value); };
    put(0x10008, pte(0x11000, V));
    put(0x11008, middle ? middle : pte(0x12000, V));
    put(0x12008, last);
    return m;
  };
  const auto sv39 = [](RiscvOptions o = {}) { return riscv_walker(RiscvMode::sv39, 0x10000, o); };
  auto const gstage = [](RiscvOptions o = {}) { return riscv_walker(RiscvMode::sv39x4, 0x10000, o); };
  u64 const page = 0xfedcba98765000;

  hits(with(0, pte(page, rw)), sv39(), address, page + 0xabc, 12, true);
  hits(with(0, pte(page, rw), true), sv39({.big_endian = true}), address, page + 0xabc, 12, true);
  hits(with(0, pte(page, rw | 0x300 | G)), sv39(), address, page + 0xabc, 12, true);
  hits(with(pte(0xa00000, rw), 0), sv39(), address, 0xa01abc, 21, true);
  faults(with(pte(0xa10000, rw), 0), sv39(), address, "misaligned");
  hits(with(0, pte(page, V | R | U | A | D)), sv39(), address, page + 0xabc, 12, false);
  faults(with(0, pte(page, rw & ~V)), sv39(), address, "V = 0");
  faults(with(0, pte(page, V | W | U | A | D)), sv39(), address, "W without R");
  faults(with(0, pte(page, V | W | X | U | A | D)), sv39(), address, "W without R");
  faults(with(0, pte(page, V | X | U | A | D)), sv39(), address, "");
  faults(with(0, pte(page, V)), sv39(), address, "last level");
  for (unsigned b = 54; b <= 60; ++b) {
    faults(with(0, pte(page, rw | u64{1} << b)), sv39(), address, "60:54");
    faults(with(pte(0x12000, V | u64{1} << b), pte(page, rw)), sv39(), address, "60:54");
  }
  hits(with(0, pte(page, rw | u64{3} << 59)), sv39({.svrsw60t59b = true}), address, page + 0xabc, 12, true);
  for (const u64 b : {D, A, U}) faults(with(pte(0x12000, V | b), pte(page, rw)), sv39(), address, "in a pointer");

  // Accessed and dirty.
  faults(with(0, pte(page, rw & ~A)), sv39(), address, "A = 0");
  hits(with(0, pte(page, rw & ~D)), sv39(), address, page + 0xabc, 12, false);
  Answer a = hits(with(0, pte(page, rw & ~D)), sv39({.adue = true}), address, page + 0xabc, 12, true);
  expect(!a.updated_entry, "a read leaves D alone", a, Where::current());
  a = hits(with(0, pte(page, rw & ~A)), sv39({.adue = true}), address, page + 0xabc, 12, true);
  expect(a.updated_entry == 0x12008, "a read sets A", a, Where::current());

  // Privilege.
  const Memory supervisor_page = with(0, pte(page, rw & ~U)), user_page = with(0, pte(page, rw));
  faults(supervisor_page, sv39(), address, "U = 0");
  hits(supervisor_page, sv39({.user = false}), address, page + 0xabc, 12, true);
  faults(user_page, sv39({.user = false}), address, "without SUM");
  hits(user_page, sv39({.user = false, .sum = true}), address, page + 0xabc, 12, true);
  faults(supervisor_page, gstage({.user = false}), address, "U = 0");
  hits(user_page, gstage({.user = false}), address, page + 0xabc, 12, true);

  // Svnapot: the page named 0x...8 stands for its 64 KiB; index 1 is the second page of it.
  u64 const napot = 0x765480000 | 0x8000;
  faults(with(0, pte(napot, rw | N)), sv39(), address, "N without");
  hits(with(0, pte(napot, rw | N)), sv39({.svnapot = true}), address, 0x765481abc, 16, true);
  hits(with(0, pte(napot, rw | N)), gstage({.svnapot = true}), address, 0x765481abc, 16, true);
  for (u64 low = 0; low < 16; ++low)
    if (low != 8) faults(with(0, pte(0x765480000 | low << 12, rw | N)), sv39({.svnapot = true}), address, "reserved size");
  faults(with(pte(0xa00000, rw | N), 0), sv39({.svnapot = true}), address, "N in a superpage");
  faults(with(pte(0x12000, V | N), pte(page, rw)), sv39({.svnapot = true}), address, "N in a pointer");

  // Svpbmt.
  for (u64 type = 1; type <= 3; ++type) {
    const Memory leaf = with(0, pte(page, rw | type << 61));
    faults(leaf, sv39(), address, "PBMT without");
    faults(with(pte(0x12000, V | type << 61), pte(page, rw)), sv39({.svpbmt = true}), address, "PBMT in");
    if (type == 3) {
      faults(leaf, sv39({.svpbmt = true}), address, "PBMT = 3");
      continue;
    }
    a = hits(leaf, sv39({.svpbmt = true}), address, page + 0xabc, 12, true);
    expect(a.pbmt == type, "memory type", a, Where::current());
  }
}

}  // namespace reference_walk::self_check
