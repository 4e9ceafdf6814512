// Checks of zpci.h.
#pragma once

#include "reference_walk/hand_built.h"
#include "reference_walk/zpci.h"

namespace reference_walk::self_check {

inline void check_zpci() {
  using enum ZpciTable;
  // Tables at 0x100000 (region-first) to 0x10c000 (segment), page table at 0x110800; index 1 of
  // each, but page index 2.  `with` alters one entry: 0 segment ... 3 region-first, -1 page.
  auto const table_at = [](int t) { return t < 0 ? u64{0x110800} : 0x100000 + 0x4000 * u64(3 - t); };
  auto const with = [&](int level = -2, u64 set = 0, u64 clear = 0) {
    Memory m;
    for (int t = 3; t >= -1; --t) {
      u64 entry = t < 0 ? 0x7654000 : table_at(t - 1) | u64(t) << 2 | (t > 0 ? 3 : 0);
      if (t == level) entry = (entry & ~clear) | set;
      m.put_big(table_at(t) + (t < 0 ? 16 : 8), entry);
    }
    return m;
  };
  auto const from = [&](ZpciTable type, ZpciOptions o = {}, unsigned length = 3, bool protect = false) {
    return zpci_walker({type, table_at(static_cast<int>(type)), length, protect}, o);
  };
  u64 const all = 0x0020040080102abc;  // bits 53, 42, 31, 20 and page 2
  for (int t = 0; t <= 3; ++t) {
    auto const type = static_cast<ZpciTable>(t);
    u64 const address = t == 3 ? all : field(all, 20 + 11 * static_cast<unsigned>(t) + 10, 0);
    hits(with(), from(type), address, 0x7654abc, 12, true);
    hits(with(), from(type, {}, 0), address, 0x7654abc, 12, true);
    hits(with(), from(type, {}, 3, true), address, 0x7654abc, 12, false);
    if (t < 3) {
      faults(with(), from(type), all, "beyond the designation");
      hits(with(), from(type, {.high_bits_fault = false}), all, 0x7654abc, 12, true);
    }
    for (int level = t; level >= -1; --level) {
      hits(with(level, 0x200), from(type), address, 0x7654abc, 12, false);
      hits(with(level, 0x200), from(type, {.region_protection = false}), address, 0x7654abc, 12, level > 0);
      faults(with(level, level < 0 ? 0x400 : 0x20), from(type), address, "invalid");
      for (int other = 0; other <= 3 && level >= 0; ++other)
        if (other != level) faults(with(level, u64(other) << 2, 0xc), from(type), address, "wrong table type");
      if (level >= 0) faults(with(level, 0, ~u64{0}), from(type, {.zero_entry_faults = true}), address, "all zero");
      // Offset 1: the quarter of the next index, 0, lies before the table.
      if (level > 0) faults(with(level, 0x40), from(type), address, "offset and length");
      if (level > 0) hits(with(level, 0x40), from(type, {.bounds = ZpciBounds::ignored}), address, 0x7654abc, 12, true);
      if (level > 0) faults(with(level, 0, 1), from(type, {.bounds = ZpciBounds::whole_tables_only}), address, "not whole");
    }
  }
  hits(with(), from(segment), 0x00102abc, 0x7654abc, 12, true);
  faults(with(-1, 0x800), from(segment), 0x102abc, "zero bit");
  hits(with(-1, 0x800), from(segment, {.page_zero_bit_faults = false}), 0x102abc, 0x7654abc, 12, true);
  hits(with(-1, 0, ~u64{0}), from(segment), 0x102abc, 0xabc, 12, true);
  faults(with(), from(segment), 0x101abc, "no memory at the page");
  faults(with(), from(segment), 0x202abc, "no memory at the region or segment");

  // Offset and length at each level, with the next index in each quarter q: offset <= q <=
  // length.
  for (int t = 1; t <= 3; ++t)
    for (u64 q = 0; q < 4; ++q)
      for (u64 offset = 0; offset < 4; ++offset)
        for (u64 length = 0; length < 4; ++length) {
          Memory m = with(t, offset << 6 | length, 0xc3);
          u64 const index = q << 9 | 1;
          u64 const next = m.words.at(table_at(t - 1) + 8);
          m.put(table_at(t - 1) + 8 * index, next);
          unsigned const shift = 20 + 11 * static_cast<unsigned>(t - 1);
          u64 const upto = t == 3 ? all : field(all, shift + 21, 0);
          u64 const address = (upto & ~(u64{0x7ff} << shift)) | index << shift;
          if (offset <= q && q <= length)
            hits(m, from(static_cast<ZpciTable>(t)), address, 0x7654abc, 12, true);
          else
            faults(m, from(static_cast<ZpciTable>(t)), address, "offset and length");
        }
  // The same of the root.
  Memory high = with();
  high.put(table_at(0) + 8 * 0x601, high.words.at(table_at(0) + 8));
  hits(high, from(segment), 0x60102abc, 0x7654abc, 12, true);
  faults(high, from(segment, {}, 2), 0x60102abc, "root's length");

  // Region origin masked to 4 KiB or to 16 KiB.
  Memory moved = with(1, 0x1000);
  faults(moved, from(region_third), 0x80102abc, "no memory");
  hits(moved, from(region_third, {.region_origin_lg2 = 14}), 0x80102abc, 0x7654abc, 12, true);

  // A page entry that is all zero maps page 0, unless it is an error.
  faults(with(-1, 0, ~u64{0}), from(segment, {.zero_entry_faults = true}), 0x102abc, "all zero");

  // Large frames.
  const Memory segment_frame = with(0, 0x12345600400, ~u64{0}), region_frame = with(1, 0x12380000404, ~u64{0});
  faults(segment_frame, from(segment), 0x102abc, "large frame");
  faults(region_frame, from(region_third), 0x80102abc, "large frame");
  hits(segment_frame, from(region_third, {.one_mib = ZpciFrames::allowed}), 0x80102abc, 0x12345602abc, 20, true);
  hits(region_frame, from(region_third, {.two_gib = ZpciFrames::allowed}), 0x80102abc, 0x12380102abc, 31, true);
  hits(with(0, 0x12345600600, ~u64{0}), from(segment, {.one_mib = ZpciFrames::allowed}), 0x102abc, 0x12345602abc, 20, false);
  hits(with(1, 0x12380000604, ~u64{0}), from(region_third, {.two_gib = ZpciFrames::allowed, .region_protection = false}),
       0x80102abc, 0x12380102abc, 31, false);
  hits(with(1, 0x400), from(region_third, {.two_gib = ZpciFrames::ignored}), 0x80102abc, 0x7654abc, 12, true);
  Memory ignored = with(0, 0x400);
  hits(ignored, from(segment, {.one_mib = ZpciFrames::ignored}), 0x102abc, 0x7654abc, 12, true);
  hits(with(2, 0x400), from(region_second), field(all, 52, 0), 0x7654abc, 12,
       true);  // no FC there
}

}  // namespace reference_walk::self_check
