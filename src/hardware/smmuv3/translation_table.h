// What stage 1 and stage 2 tables have in common: granule, number of levels, where the root starts.
#pragma once
#include <algorithm>
#include <cstdint>

#include "swiommu/base/bits.h"

namespace swiommu::smmuv3 {

// CD.TG0 and STE.S2TG; 0: reserved.
constexpr unsigned granule_of_tg0(std::uint64_t code) { return code == 0 ? 12 : code == 1 ? 16 : code == 2 ? 14 : 0; }
// CD.TG1 counts differently.
constexpr unsigned granule_of_tg1(std::uint64_t code) { return code == 1 ? 14 : code == 2 ? 12 : code == 3 ? 16 : 0; }

// Levels that `input_bits` need; a full table has granule / 8 items.
constexpr unsigned levels_for(unsigned input_bits, unsigned granule_lg2) {
  unsigned const index_bits = granule_lg2 - 3;
  return (input_bits - granule_lg2 + index_bits - 1) / index_bits;
}

// The root table starts at a multiple of its size, and of 64 bytes where addresses have 52 bits; the SMMU does not look at
// the bits below.
constexpr std::uint64_t aligned_root(std::uint64_t base, unsigned input_bits, unsigned granule_lg2, unsigned levels,
                                     unsigned output_bits) {
  unsigned const below_root = granule_lg2 + (levels - 1) * (granule_lg2 - 3);
  unsigned const size_lg2 = input_bits - below_root + 3;
  return align_down(base, std::max(size_lg2, output_bits > 48 ? 6u : 4u));
}

static_assert(levels_for(48, 12) == 4 && levels_for(39, 12) == 3 && levels_for(48, 16) == 3 && levels_for(25, 12) == 2);
static_assert(aligned_root(0x12345678, 48, 12, 4, 48) == 0x12345000 && aligned_root(0x12345678, 44, 12, 4, 44) == 0x12345600);

}  // namespace swiommu::smmuv3
