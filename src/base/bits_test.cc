#include "swiommu/base/bits.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

constexpr std::uint64_t all = ~std::uint64_t{0};
constexpr std::uint64_t high = std::uint64_t{1} << 63;

TEST(Bits, ABitIsGoneAt64) {
  EXPECT_EQ(bit(0), 1u);
  EXPECT_EQ(bit(63), high);
  EXPECT_EQ(bit(64), 0u);
}

TEST(Bits, LowBitsCountUpTo64) {
  EXPECT_EQ(low_bits(0), 0u);
  EXPECT_EQ(low_bits(1), 1u);
  EXPECT_EQ(low_bits(63), high - 1);
  EXPECT_EQ(low_bits(64), all);
}

TEST(Bits, SpansIncludeBothEnds) {
  EXPECT_EQ(bit_span(0, 0), 1u);
  EXPECT_EQ(bit_span(63, 63), high);
  EXPECT_EQ(bit_span(63, 0), all);
  EXPECT_EQ(bit_span(51, 12), 0x000f'ffff'ffff'f000u);
}

TEST(Bits, FieldsMoveDownToBit0) {
  EXPECT_EQ(bit_field(all, 63, 63), 1u);
  EXPECT_EQ(bit_field(all, 63, 0), all);
  EXPECT_EQ(bit_field(0x1234'5678'9abc'def0, 63, 32), 0x1234'5678u);
  EXPECT_EQ(bit_field(0x1234'5678'9abc'def0, 7, 4), 0xfu);
}

TEST(Bits, FieldsOfAWordPutItTogetherAgain) {
  std::uint64_t const word = 0x8123'4567'89ab'cdef;
  for (unsigned cut = 1; cut < 64; ++cut) {
    EXPECT_EQ(shift_left(bit_field(word, 63, cut), cut) | bit_field(word, cut - 1, 0), word) << cut;
  }
}

TEST(Bits, ShiftsBy64GiveZero) {
  EXPECT_EQ(shift_right(all, 0), all);
  EXPECT_EQ(shift_right(all, 63), 1u);
  EXPECT_EQ(shift_right(all, 64), 0u);
  EXPECT_EQ(shift_left(all, 0), all);
  EXPECT_EQ(shift_left(all, 63), high);
  EXPECT_EQ(shift_left(all, 64), 0u);
}

TEST(Bits, AlignsToAnySize) {
  EXPECT_EQ(align_down(all, 0), all);
  EXPECT_EQ(align_down(all, 12), all - 0xfff);
  EXPECT_EQ(align_down(all, 63), high);
  EXPECT_EQ(align_down(all, 64), 0u);
  EXPECT_TRUE(is_aligned(all, 0));
  EXPECT_TRUE(is_aligned(high, 63));
  EXPECT_FALSE(is_aligned(high, 64));
  EXPECT_TRUE(is_aligned(0, 64));
  EXPECT_FALSE(is_aligned(0x1800, 12));
}

TEST(Bits, LogarithmsOfEveryPowerOfTwo) {
  for (unsigned n = 0; n < 64; ++n) {
    EXPECT_EQ(log2_floor(bit(n)), n);
    EXPECT_EQ(log2_floor(low_bits(n + 1)), n);
    EXPECT_EQ(alignment_lg2(bit(n)), n);
    EXPECT_EQ(alignment_lg2(all << n), n);
  }
  EXPECT_EQ(alignment_lg2(0), 64u);
}

}  // namespace
}  // namespace swiommu
