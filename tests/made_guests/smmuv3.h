// Guests behind an SMMUv3: the 16 KiB granule, second stages with concatenated roots, big-endian tables.
#pragma once
#include <algorithm>

#include "made_guests/vtd.h"

namespace swiommu {

struct MadeStream {
  unsigned granule_lg2 = 12, input_bits = 48, levels = 4, output_code = 4;  // 4: 44 bits
  bool second_stage = false, two_level_stream_table = false, big_endian_tables = false;
};

inline MadeGuest made_smmuv3(MadeStream const& s) {
  MadeGuest guest;
  guest.iommu = "smmu";
  unsigned const bits = s.granule_lg2 - 3, below_root = s.granule_lg2 + (s.levels - 1) * bits;
  unsigned const root_bits = s.input_bits - below_root;
  constexpr std::uint64_t contiguous = std::uint64_t{1} << 52;
  // Stage 1: AF, inner shareable, AP[1], nG. Stage 2: AF, inner shareable, write-back, read and write.
  std::uint64_t const leaf = s.second_stage ? 0x7fc : 0xf40, read_only = s.second_stage ? 0x77c : 0xfc0;
  std::uint64_t const granule = std::uint64_t{1} << s.granule_lg2, block = granule << bits;
  std::uint64_t const items = s.granule_lg2 == 12 ? 16 : s.granule_lg2 == 14 ? 128 : 32;  // of a run of pages
  std::uint64_t const run = items * granule;

  // The structures are little-endian whatever the tables are.
  std::uint64_t streams = 0, ste = 0;
  if (s.two_level_stream_table) {
    std::uint64_t const array = guest.allocate(64 << 8);
    streams = guest.allocate(4096);
    guest.put(streams, array | 9);
    ste = array + 64 * 0x28;
  } else {
    streams = guest.allocate(64 << 8);
    ste = streams + 64 * 0x28;
  }
  std::uint64_t const cd = guest.allocate(4096);

  guest.big_endian = s.big_endian_tables;
  MadeTable table(guest, made_levels(s.levels, s.granule_lg2, bits, root_bits),
                  guest.allocate(std::max<std::uint64_t>(granule, std::uint64_t{8} << root_bits)),
                  [](std::uint64_t below, unsigned) { return below | 3; });
  std::uint64_t const top = std::uint64_t{1} << s.input_bits;
  table.leaf(granule, 0, (0x90000000 + 4 * granule) | leaf | 3);
  table.leaf(2 * granule, 0, (0x90000000 + 6 * granule) | read_only | 3);
  for (std::uint64_t n = 0; n < items; n++) table.leaf(run + n * granule, 0, (0x98000000 + n * granule) | leaf | 3 | contiguous);
  table.leaf(top - block, 1, 0x180000000 | leaf | 1);
  table.leaf(top - block - granule, 0, (0x90000000 + 9 * granule) | leaf | 3);
  guest.big_endian = false;

  guest.mappings = {{granule, 2 * granule - 1, 0x90000000 + 4 * granule, true, true, granule},
                    {2 * granule, 3 * granule - 1, 0x90000000 + 6 * granule, true, false, granule},
                    {run, 2 * run - 1, 0x98000000, true, true, run},
                    {top - block - granule, top - block - 1, 0x90000000 + 9 * granule, true, true, granule},
                    {top - block, top - 1, 0x180000000, true, true, block}};
  for (std::uint64_t const page : {4, 6, 9})
    guest.fill_with_data(0x90000000 + page * granule, static_cast<unsigned>(granule >> 12));
  guest.fill_with_data(0x98000000 + 3 * granule);
  guest.fill_with_data(0x180000000 + block - 0x1000, 1);

  std::uint64_t const t0sz = 64 - s.input_bits, granule_code = s.granule_lg2 == 12 ? 0 : s.granule_lg2 == 14 ? 2 : 1;
  std::uint64_t const big = s.big_endian_tables ? 1 : 0;
  if (s.second_stage) {
    std::uint64_t const start = s.granule_lg2 == 12 ? s.levels - 2 : s.levels - 1;
    guest.put(ste, {1 | 6 << 1, 0,
                    7 | t0sz << 32 | start << 38 | granule_code << 46 | std::uint64_t{s.output_code} << 48 |
                        std::uint64_t{1} << 51 | big << 52 | std::uint64_t{1} << 58,
                    table.root});
  } else {
    guest.put(ste, {1 | 5 << 1 | cd, 1});
    guest.put(cd,
              {t0sz | granule_code << 6 | big << 15 | std::uint64_t{1} << 30 | std::uint64_t{1} << 31 |
                   std::uint64_t{s.output_code} << 32 | std::uint64_t{1} << 41 | std::uint64_t{7} << 45 | std::uint64_t{2} << 48,
               table.root, 0, 0xff44ff0404ff4404});
  }
  constexpr std::uint64_t stages = 3, aarch64 = 2 << 2, asid16 = 1 << 12, no_stall = 1 << 24, two_levels = 1 << 27;
  guest.registers = {{"STRTAB_BASE", streams | std::uint64_t{1} << 62},
                     {"STRTAB_BASE_CFG", s.two_level_stream_table ? 1 << 16 | 8 << 6 | 16 : 8},
                     {"CR0", 0xd},
                     {"IDR0", stages | aarch64 | asid16 | no_stall | two_levels},
                     {"IDR1", 16},
                     {"IDR5", 0x70 | s.output_code}};
  return guest;
}

}  // namespace swiommu
