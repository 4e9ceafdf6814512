// STE and CD: 64 bytes, little-endian, whose bits are counted through all words, as the manual does: bit 64 is bit 0 of the
// second word.
#pragma once
#include <array>
#include <cstdint>

#include "swiommu/base/bits.h"

namespace swiommu::smmuv3 {

struct Structure {
  std::array<std::uint64_t, 8> words{};

  // Bits `high`..`low`, both inclusive, within one word.
  [[nodiscard]] constexpr std::uint64_t field(unsigned high, unsigned low) const {
    return bit_field(words[low / 64], high % 64, low % 64);
  }
  [[nodiscard]] constexpr bool flag(unsigned position) const { return field(position, position) != 0; }

  // The field as the address bits that it stands for: bit `low` of the structure is bit `address_low` of the address.
  [[nodiscard]] constexpr std::uint64_t address(unsigned high, unsigned low, unsigned address_low) const {
    return field(high, low) << address_low;
  }
};

}  // namespace swiommu::smmuv3
