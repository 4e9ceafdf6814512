#include "swiommu/base/range.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

constexpr std::uint64_t top = ~std::uint64_t{0};
constexpr std::uint64_t high = std::uint64_t{1} << 63;

TEST(Range, IsMadeOfALengthUnlessItLeavesTheSpace) {
  EXPECT_EQ(Range::of_length(0, 1), (Range{0, 0}));
  EXPECT_EQ(Range::of_length(top, 1), (Range{top, top}));
  EXPECT_EQ(Range::of_length(0, top), (Range{0, top - 1}));
  EXPECT_EQ(Range::of_length(1, top), (Range{1, top}));
  EXPECT_EQ(Range::of_length(2, top), std::nullopt);
  EXPECT_EQ(Range::of_length(top, 2), std::nullopt);
  EXPECT_EQ(Range::of_length(top, top), std::nullopt);
  EXPECT_EQ(Range::of_length(0, 0), std::nullopt);
  EXPECT_EQ(Range::of_length(top, 0), std::nullopt);
}

TEST(Range, BlocksOfEverySize) {
  EXPECT_EQ(Range::block(0x1234, 0), (Range{0x1234, 0x1234}));
  EXPECT_EQ(Range::block(0x1234, 12), (Range{0x1000, 0x1fff}));
  EXPECT_EQ(Range::block(top, 63), (Range{high, top}));
  EXPECT_EQ(Range::block(5, 63), (Range{0, high - 1}));
  EXPECT_EQ(Range::block(5, 64), Range::all());
}

TEST(Range, LengthOfTheWholeSpaceIsZero) {
  EXPECT_EQ((Range{7, 7}).length(), 1u);
  EXPECT_EQ((Range{high, top}).length(), high);
  EXPECT_EQ((Range{1, top}).length(), top);
  EXPECT_EQ(Range::all().length(), 0u);
}

TEST(Range, ContainsBothItsEnds) {
  Range const range{0x1000, 0x1fff};
  EXPECT_FALSE(range.contains(0xfff));
  EXPECT_TRUE(range.contains(0x1000));
  EXPECT_TRUE(range.contains(0x1fff));
  EXPECT_FALSE(range.contains(0x2000));
  EXPECT_TRUE(Range::all().contains(0) && Range::all().contains(top));
  EXPECT_TRUE((Range{top, top}).contains(top));
}

// All pairs of ranges at the bottom and at the top of the space, against sets of addresses.
TEST(Range, RelationsAgreeWithSetsOfAddresses) {
  constexpr unsigned n = 6;
  for (std::uint64_t base : {std::uint64_t{0}, high - n / 2, top - n + 1}) {
    auto const set = [&](Range r) {
      unsigned bits = 0;
      for (unsigned i = 0; i < n; ++i) bits |= unsigned{r.start <= base + i && base + i <= r.last} << i;
      return bits;
    };
    for (unsigned a = 0; a < n; ++a) {
      for (unsigned b = a; b < n; ++b) {
        for (unsigned c = 0; c < n; ++c) {
          for (unsigned d = c; d < n; ++d) {
            Range const first{base + a, base + b}, second{base + c, base + d};
            unsigned const common = set(first) & set(second);
            EXPECT_EQ(first.overlaps(second), common != 0);
            EXPECT_EQ(first.contains(second), common == set(second));
            auto const intersection = first.intersection(second);
            ASSERT_EQ(intersection.has_value(), common != 0);
            if (intersection) {
              EXPECT_EQ(set(*intersection), common);
            }
            EXPECT_EQ(first == second, set(first) == set(second));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace swiommu
