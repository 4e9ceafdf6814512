#include "domain/iova_allocation.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

constexpr std::uint64_t page = 4096, mega = std::uint64_t{1} << 20, giga = std::uint64_t{1} << 30;

class IovaAllocation : public testing::Test {
 protected:
  // 0: no room.
  std::uint64_t allocate(std::uint64_t memory, std::uint64_t length, std::uint64_t alignment = 1) const {
    auto const found = allocate_iovas(areas_, reservations_, HostAddress(memory), length, alignment);
    EXPECT_EQ(found ? found->length() : length, length);
    return found ? found->start : 0;
  }
  void take(Range range) { ASSERT_TRUE(areas_.insert(range, {})); }
  Result<void> reserve(Range range) { return reservations_.reserve({&range, 1}, this); }

  IntervalMap<Area> areas_;
  IovaReservations reservations_;
};

TEST_F(IovaAllocation, NeverGivesTheFirstOrTheLastPage) {
  EXPECT_EQ(allocate(0, page), page);
  take({page, ~std::uint64_t{0} - 2 * page});
  EXPECT_EQ(allocate(0, page), ~std::uint64_t{0} - 2 * page + 1);
  EXPECT_EQ(allocate(0, 2 * page), 0u);
}

TEST_F(IovaAllocation, IsCongruentToTheMemoryAsFarAsLargeLeavesNeed) {
  EXPECT_EQ(allocate(0x7f0000123000, 8 * page), 0x3000u);
  EXPECT_EQ(allocate(0x7f0000120000, 8 * page), 0x8000u);
  EXPECT_EQ(allocate(0x7f0000120000, 5 * page), 0x8000u);
  EXPECT_EQ(allocate(0x7f0000123000, 4 * mega), 0x123000u);
  EXPECT_EQ(allocate(0x7f0000000000, 512 * mega), 2 * mega);
  EXPECT_EQ(allocate(0x7f0003123000, 3 * giga), 0x3123000u);
  EXPECT_EQ(allocate(0x7f0000123456, 7), 0x1456u) << "the bytes of a page stay where they are in it";
}

TEST_F(IovaAllocation, TakesASmallerCongruenceIfOnlyThatHasRoom) {
  ASSERT_TRUE(reservations_.allow(std::vector<Range>{{3 * mega, 7 * mega + 4 * page - 1}}));
  EXPECT_EQ(allocate(0, 3 * mega), 4 * mega);
  EXPECT_EQ(allocate(0, 4 * mega), 3 * mega);
  EXPECT_EQ(allocate(0, 4 * mega, 16 * page), 3 * mega);
  EXPECT_EQ(allocate(page, 4 * mega), 3 * mega);
  EXPECT_EQ(allocate(0, 5 * mega), 0u);
}

TEST_F(IovaAllocation, KeepsTheAlignmentOfTheDomains) {
  take({0, 0xffff});
  EXPECT_EQ(allocate(0, 0x10000, 0x10000), 0x10000u);
  take({0x10000, 0x17fff});
  EXPECT_EQ(allocate(0, 0x10000, 0x10000), 0x20000u);
  EXPECT_EQ(allocate(0x40000000, 4 * mega, 4 * mega), 4 * mega);
}

TEST_F(IovaAllocation, FillsTheLowestHoleThatIsLargeEnough) {
  take({0x1000, 0x1fff});
  take({0x3000, 0x3fff});
  take({0x6000, 0x9fff});
  EXPECT_EQ(allocate(0, page), 0x2000u);
  EXPECT_EQ(allocate(0x1000, 2 * page), 0xb000u) << "the hole at 0x4000 is not congruent";
  EXPECT_EQ(allocate(0, 2 * page), 0x4000u);
}

TEST_F(IovaAllocation, KeepsOutOfReservedRangesAndInsideOneAllowedRange) {
  ASSERT_TRUE(reserve({0x1000, 0x4fff}));
  ASSERT_TRUE(reserve({0x3000, 0x8fff}));
  EXPECT_EQ(allocate(0, page), 0x9000u);
  ASSERT_TRUE(reservations_.allow(std::vector<Range>{{0x20000, 0x20fff}, {0x21000, 0x22fff}, {0, 0xfff}}));
  EXPECT_EQ(allocate(0, page), 0x20000u);
  EXPECT_EQ(allocate(0x1000, 2 * page), 0x21000u);
  EXPECT_EQ(allocate(0, 3 * page), 0u) << "neighbours are not joined";
  take({0x20000, 0x22fff});
  EXPECT_EQ(allocate(0, page), 0u);
}

}  // namespace
}  // namespace swiommu
