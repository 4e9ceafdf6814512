// Bits and base-2 logarithms that stay right at 64, where the plain shift is undefined.
#pragma once
#include <bit>
#include <cstdint>

namespace swiommu {

// The word with bit `n` set; 0 for n = 64, so that `bit(64) - 1` is all ones.
constexpr std::uint64_t bit(unsigned n) { return n >= 64 ? 0 : std::uint64_t{1} << n; }

// The word with the low `n` bits set, n in 0..64.
constexpr std::uint64_t low_bits(unsigned n) { return bit(n) - 1; }

// The word with bits `high`..`low` set, both inclusive.
constexpr std::uint64_t bit_span(unsigned high, unsigned low) { return low_bits(high + 1) & ~low_bits(low); }

// Bits `high`..`low` of `word`, moved down to bit 0.
constexpr std::uint64_t bit_field(std::uint64_t word, unsigned high, unsigned low) { return (word & bit_span(high, low)) >> low; }

// Shifts that give 0 for n >= 64.
constexpr std::uint64_t shift_right(std::uint64_t word, unsigned n) { return n >= 64 ? 0 : word >> n; }
constexpr std::uint64_t shift_left(std::uint64_t word, unsigned n) { return n >= 64 ? 0 : word << n; }

constexpr std::uint64_t align_down(std::uint64_t value, unsigned size_lg2) { return value & ~low_bits(size_lg2); }
constexpr bool is_aligned(std::uint64_t value, unsigned size_lg2) { return (value & low_bits(size_lg2)) == 0; }

// Base-2 logarithm, rounded down; value > 0.
constexpr unsigned log2_floor(std::uint64_t value) { return 63u - static_cast<unsigned>(std::countl_zero(value)); }

// The largest n for which value is a multiple of 2^n; 64 for 0.
constexpr unsigned alignment_lg2(std::uint64_t value) { return static_cast<unsigned>(std::countr_zero(value)); }

static_assert(low_bits(64) == ~std::uint64_t{0} && bit_span(63, 0) == ~std::uint64_t{0} &&
              bit_span(51, 12) == 0x000ffffffffff000);

}  // namespace swiommu
