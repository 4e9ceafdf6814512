// How a radix table slices an input address.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>

#include "swiommu/base/bits.h"
#include "swiommu/base/range.h"

namespace swiommu {

// AMD v1 has six levels, s390 region-first five.
inline constexpr unsigned maximum_levels = 6;

struct LevelShape {
  std::uint8_t shift = 0;       // log2 of the bytes that one item covers
  std::uint8_t index_bits = 0;  // log2 of the number of items
  constexpr bool operator==(LevelShape const&) const = default;
};

// Which input addresses a table of fewer than 64 bits takes.
enum class Extension : std::uint8_t {
  zero,  // bits above are zero
  sign,  // bits above repeat the top bit: two halves (x86-64, RISC-V first stage)
  ones,  // bits above are one: the table of the upper half (Arm TTB1)
};

// Those addresses, for who asks often: counted from the first, which may be below zero, they have none of the bits `above`.
struct Inputs {
  std::uint64_t first = 0;
  std::uint64_t above = 0;
  constexpr bool contains(std::uint64_t input) const { return ((input - first) & above) == 0; }
};

struct Geometry {
  std::array<LevelShape, maximum_levels> level{};
  std::uint8_t levels = 0;
  Extension extension = Extension::zero;
  std::uint8_t ignored_top_bits = 0;  // Arm top byte ignore: 8

  constexpr unsigned input_bits() const { return level[levels - 1u].shift + level[levels - 1u].index_bits; }
  constexpr unsigned top() const { return levels - 1u; }
  constexpr std::uint64_t index(unsigned l, std::uint64_t input) const {
    return input >> level[l].shift & ((std::uint64_t{1} << level[l].index_bits) - 1);
  }
  // The range of inputs that the item or table at level `l` covers that holds `input`.
  constexpr Range item(unsigned l, std::uint64_t input) const { return Range::block(input, level[l].shift); }
  constexpr Range table(unsigned l, std::uint64_t input) const {
    return Range::block(input, level[l].shift + level[l].index_bits);
  }

  constexpr Inputs inputs() const {
    unsigned const bits = input_bits();
    if (bits >= 64) return {};
    std::uint64_t const first = extension == Extension::zero ? 0 : ~low_bits(extension == Extension::sign ? bits - 1 : bits);
    std::uint64_t const looked_at = ignored_top_bits < 64 - bits ? low_bits(64u - ignored_top_bits) : ~std::uint64_t{0};
    return {.first = first, .above = looked_at & ~low_bits(bits)};
  }
  constexpr bool contains(std::uint64_t input) const { return inputs().contains(input); }

  // A range may be mapped when both ends are inside, on the same side of the hole of a sign-extended space.
  constexpr bool contains(Range range) const {
    if (ignored_top_bits != 0 && (range.start ^ range.last) >> (64 - ignored_top_bits) != 0) return false;
    return contains(range.start) && contains(range.last) && table(top(), range.start) == table(top(), range.last) &&
           (extension != Extension::sign || input_bits() >= 64 ||
            (range.start >> (input_bits() - 1) & 1) == (range.last >> (input_bits() - 1) & 1));
  }
};

// `index_bits` a level from bit `granule_lg2` up, as in tables that fill one granule with 8-byte entries.
// The root is wider by `extra_root_bits` (concatenated tables), or cut so that it covers `input_bits` (if not 0).
constexpr Geometry radix(unsigned levels, unsigned granule_lg2 = 12, unsigned extra_root_bits = 0, unsigned input_bits = 0) {
  Geometry g;
  levels = std::clamp(levels, 1u, maximum_levels);  // formats refuse others before they are used
  g.levels = static_cast<std::uint8_t>(levels);
  unsigned const width = granule_lg2 - 3;
  for (unsigned l = 0; l < levels; l++)
    g.level[l] = {static_cast<std::uint8_t>(granule_lg2 + l * width), static_cast<std::uint8_t>(width)};
  auto& root = g.level[levels - 1u];
  root.index_bits = static_cast<std::uint8_t>(input_bits ? input_bits - root.shift : width + extra_root_bits);
  return g;
}

static_assert(radix(4).input_bits() == 48 && radix(3, 12, 2).input_bits() == 41 && radix(3, 16).input_bits() == 55);
static_assert(radix(4, 12, 0, 44).level[3].index_bits == 5);

}  // namespace swiommu
