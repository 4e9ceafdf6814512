#include "page_table/geometry.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

constexpr std::uint64_t top = ~std::uint64_t{0};

Geometry with(Geometry g, Extension extension, unsigned ignored_top_bits = 0) {
  g.extension = extension;
  g.ignored_top_bits = static_cast<std::uint8_t>(ignored_top_bits);
  return g;
}

TEST(Geometry, ZeroExtensionTakesInputsBelowItsSize) {
  Geometry const g = radix(4);
  EXPECT_TRUE(g.contains(0) && g.contains(low_bits(48)));
  EXPECT_FALSE(g.contains(bit(48)) || g.contains(top));
}

TEST(Geometry, SignExtensionTakesTwoHalves) {
  Geometry const g = with(radix(4), Extension::sign);
  EXPECT_TRUE(g.contains(low_bits(47)) && g.contains(~low_bits(47)) && g.contains(top));
  EXPECT_FALSE(g.contains(bit(47)) || g.contains(~low_bits(47) - 1) || g.contains(bit(63)));
}

TEST(Geometry, TheUpperHalfHasOnesAbove) {
  Geometry const g = with(radix(3), Extension::ones);
  EXPECT_TRUE(g.contains(~low_bits(39)) && g.contains(top));
  EXPECT_FALSE(g.contains(0) || g.contains(~low_bits(39) - 1) || g.contains(low_bits(39)));
}

TEST(Geometry, AnIgnoredTopByteDecidesNothing) {
  Geometry const low = with(radix(4), Extension::zero, 8), high = with(radix(4), Extension::ones, 8);
  for (std::uint64_t const tag : {std::uint64_t{0}, std::uint64_t{0x5a} << 56, std::uint64_t{0xff} << 56}) {
    EXPECT_TRUE(low.contains(tag | low_bits(48)));
    EXPECT_FALSE(low.contains(tag | bit(48)));
    EXPECT_TRUE(high.contains(tag | (bit_span(55, 48) | 5)));
    EXPECT_FALSE(high.contains(tag | (bit_span(54, 48) | 5)));
  }
  EXPECT_FALSE(low.contains(Range{0, bit(56)})) << "a range with two tags";
}

TEST(Geometry, SixtyFourBitsTakeEverything) {
  Geometry const g = radix(6, 12, 0, 64);
  EXPECT_EQ(g.input_bits(), 64u);
  EXPECT_TRUE(g.contains(top));
  EXPECT_TRUE(g.contains(Range::all()));
  EXPECT_EQ(g.index(g.top(), top), low_bits(7));
  EXPECT_EQ(g.table(g.top(), 5), Range::all());
}

TEST(Geometry, RangesDoNotCrossTheHole) {
  Geometry const g = with(radix(4), Extension::sign);
  EXPECT_TRUE(g.contains(Range{0, low_bits(47)}));
  EXPECT_TRUE(g.contains(Range{~low_bits(47), top}));
  EXPECT_FALSE(g.contains(Range{low_bits(47), ~low_bits(47)}));
  EXPECT_FALSE(g.contains(Range{0, top}));
}

TEST(Geometry, ConcatenatedRootsAreOneWiderTable) {
  Geometry const g = radix(3, 12, 0, 43);
  EXPECT_EQ(g.level[2].index_bits, 13);
  EXPECT_EQ(g.index(2, low_bits(43)), low_bits(13));
}

}  // namespace
}  // namespace swiommu
