// Checks of x86.h.
#pragma once

#include "reference_walk/hand_built.h"
#include "reference_walk/x86.h"

namespace reference_walk::self_check {

inline void check_x86() {
  const u64 NX = u64{1} << 63;
  for (const unsigned levels : {4u, 5u}) {
    // Indices 1 at every level; bits 7: present, writable, user.  `with` alters one entry.
    u64 const address = (levels == 5 ? u64{1} << 48 : 0) | 0x8040201abc;
    auto const with = [&](unsigned level = 0, u64 set = 0, u64 clear = 0) {
      Memory m;
      for (unsigned n = levels; n >= 1; --n) {
        u64 const table = 0x10000 + 0x1000 * (levels - n);
        u64 entry = n > 1 ? (table + 0x1000) | 7 : 0x7654007;
        if (n == level) entry = (entry & ~clear) | set;
        m.put(table + 8, entry);
      }
      return m;
    };
    auto const walk = [&](X86Options o = {}) {
      o.levels = levels;
      return x86_walker(0x10000, o);
    };
    unsigned const width = 12 + 9 * levels;
    hits(with(), walk(), address, 0x7654abc, 12, true);
    faults(with(), walk(), address | u64{1} << 63, "canonical");
    faults(with(), walk(), address | u64{1} << (width - 1), "canonical");
    hits(with(), walk({.canonical_check = false}), address | u64{1} << 63, 0x7654abc, 12, true);
    Memory upper = with();
    upper.put(0x10000 + 8 * 0x101, 0x11007);
    hits(upper, walk(), address | ~u64{0} << (width - 1), 0x7654abc, 12, true);

    for (unsigned n = 1; n <= levels; ++n) {
      faults(with(n, 0, 1), walk(), address, "P = 0");
      hits(with(n, 0, 2), walk(), address, 0x7654abc, 12, false);
      hits(with(n, 0, 2), walk({.user = false}), address, 0x7654abc, 12, false);
      hits(with(n, 0, 2), walk({.write_protect = false}), address, 0x7654abc, 12, false);
      hits(with(n, 0, 2), walk({.write_protect = false, .user = false}), address, 0x7654abc, 12, true);
      faults(with(n, 0, 4), walk(), address, "supervisor page");
      hits(with(n, 0, 4), walk({.user = false}), address, 0x7654abc, 12, true);
      faults(with(n, u64{1} << 46), walk({.host_address_width = 46}), address, "host address width");
      faults(with(n, u64{1} << 51), walk({.host_address_width = 46}), address, "host address width");
      hits(with(n, NX | u64{0x7ff} << 52), walk({.host_address_width = 46}), address, 0x7654abc, 12, true);
      faults(with(n, NX), walk({.nxe = false}), address, "bit 63");
      hits(with(n, 0x100), walk(), address, 0x7654abc, 12, true);
      if (n >= 4) {
        faults(with(n, 0x80), walk(), address, "PS in");
        faults(with(n, 0x100), walk({.bit_8_reserved = true}), address, "bit 8");
      } else {
        hits(with(n, 0x100), walk({.bit_8_reserved = true}), address, 0x7654abc, 12, true);
      }
    }
    hits(with(1, 0x80), walk(), address, 0x7654abc, 12, true);  // PAT of a 4 KiB page
    hits(with(1, u64{1} << 51), walk(), address, u64{1} << 51 | 0x7654abc, 12, true);
    // Large pages: with and without PAT (bit 12), and with each bit from 13 to the frame.
    for (const unsigned n : {2u, 3u}) {
      unsigned const size = 12 + 9 * (n - 1);
      u64 const frame = u64{5} << size, low = field(address, size - 1, 0);
      hits(with(n, frame | 0x87, ~u64{0}), walk(), address, frame | low, size, true);
      hits(with(n, frame | 0x1087, ~u64{0}), walk(), address, frame | low, size, true);
      for (unsigned b = 13; b < size; ++b) faults(with(n, frame | 0x87 | u64{1} << b, ~u64{0}), walk(), address, "large page");
    }
    faults(with(3, u64{5} << 30 | 0x87, ~u64{0}), walk({.one_gib_pages = false}), address, "1 GiB");
    hits(with(2, 0xa00087, ~u64{0}), walk({.one_gib_pages = false}), address, 0xa01abc, 21, true);
  }
  faults(Memory{}, x86_walker(0x10000, {.levels = 3}), 0, "levels");
}

}  // namespace reference_walk::self_check
