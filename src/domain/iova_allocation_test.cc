#include "domain/iova_allocation.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

constexpr std::uint64_t page = 4096, mega = std::uint64_t{1} << 20, giga = std::uint64_t{1} << 30;

class IovaAllocation : public testing::Test {
 protected:
  // 0: refused.
  std::uint64_t allocate(std::uint64_t memory, std::uint64_t length, std::uint64_t alignment = 1) const {
    auto const found = allocate_iovas(areas_, reservations_, memory, length, alignment);
    EXPECT_EQ(found ? found->length() : length, length);
    return found ? found->start : 0;
  }
  int refusal(std::uint64_t memory, std::uint64_t length, std::uint64_t alignment = 1) const {
    auto const found = allocate_iovas(areas_, reservations_, memory, length, alignment);
    return found ? 0 : found.error().code;
  }
  void take(Range range) { ASSERT_TRUE(areas_.insert(range, {})); }
  Result<void> reserve(Range range) { return reservations_.reserve({&range, 1}, this); }

  IntervalMap<UsedArea> areas_;
  IovaReservations reservations_;
};

TEST_F(IovaAllocation, NeverGivesTheFirstOrTheLastPage) {
  EXPECT_EQ(allocate(0, page), page);
  EXPECT_EQ(allocate(1, 1), page + 1);
  take({page, ~std::uint64_t{0} - 2 * page});
  EXPECT_EQ(allocate(0, page), ~std::uint64_t{0} - 2 * page + 1);
  EXPECT_EQ(refusal(0, 2 * page), ENOSPC);
}

TEST_F(IovaAllocation, IsAsWellAlignedAsTheMemoryAndNoBetterThanTheLength) {
  EXPECT_EQ(allocate(0x7f0000123000, 8 * page), 0x1000u);
  EXPECT_EQ(allocate(0x7f0000124000, 8 * page), 0x4000u);
  EXPECT_EQ(allocate(0x7f0000120000, 8 * page), 0x8000u);
  EXPECT_EQ(allocate(0x7f0000120000, 5 * page), 0x8000u);
  EXPECT_EQ(allocate(0x7f0000123000, 4 * mega), 0x1000u);
  EXPECT_EQ(allocate(0x7f0000120000, 4 * mega), 0x20000u);
}

TEST_F(IovaAllocation, IsAlignedToTwoMegabytesAtMost) {
  EXPECT_EQ(allocate(0x7f0000000000, 512 * mega), 2 * mega);
  EXPECT_EQ(allocate(0, 3 * giga), 2 * mega) << "memory at 0 is aligned to anything";
  EXPECT_EQ(allocate(mega, 3 * giga), mega);
}

TEST_F(IovaAllocation, KeepsTheBytesOfAPageWhereTheyAreInIt) {
  EXPECT_EQ(allocate(0x7f0000123456, 7), 0x1456u);
  EXPECT_EQ(allocate(0x7f0000123800, page), 0x1800u);
  take({0x1000, 0x1900});
  EXPECT_EQ(allocate(0x7f0000123800, page), 0x2800u);
  EXPECT_EQ(allocate(0x7f0000123c00, 0x400), 0x1c00u);
}

TEST_F(IovaAllocation, RefusesWhatIsLessAlignedThanTheDomains) {
  EXPECT_EQ(refusal(0x7f0000123800, page, page), EINVAL);
  EXPECT_EQ(refusal(0, page / 2, page), EINVAL);
  EXPECT_EQ(allocate(0x7f0000123800, page, page / 2), 0x1800u);
  take({0, 0xffff});
  EXPECT_EQ(allocate(0x10000, 0x10000, 0x10000), 0x10000u);
  take({0x10000, 0x17fff});
  EXPECT_EQ(allocate(0, 0x10000, 0x10000), 0x20000u);
}

TEST_F(IovaAllocation, RefusesLengthsThatNobodyHas) {
  EXPECT_EQ(refusal(0, 0), EOVERFLOW);
  EXPECT_EQ(refusal(0, (std::uint64_t{1} << 63) - 1), EOVERFLOW);
  EXPECT_EQ(refusal(0, ~std::uint64_t{0}), EOVERFLOW);
  EXPECT_EQ(allocate(0, (std::uint64_t{1} << 63) - 2), 2 * mega);
}

TEST_F(IovaAllocation, FillsTheLowestHoleThatDoes) {
  take({0x1000, 0x1fff});
  take({0x3000, 0x3fff});
  take({0x6000, 0x9fff});
  EXPECT_EQ(allocate(0, page), 0x2000u);
  EXPECT_EQ(allocate(0x1000, 2 * page), 0x4000u);
  EXPECT_EQ(allocate(0, 2 * page), 0x4000u);
  EXPECT_EQ(allocate(0, 3 * page), 0xc000u) << "nothing is aligned worse because there is no room";
}

TEST_F(IovaAllocation, DoesNotUseAHoleOfOneByte) {
  take({0, 0x1000});
  take({0x1002, 0x2000});
  EXPECT_EQ(allocate(0x5001, 1), 0x2001u);
  take({0x2003, 0x2003});
  EXPECT_EQ(allocate(0x5001, 2), 0x2001u);
}

TEST_F(IovaAllocation, DoesNotJoinHolesAcrossAnArea) {
  take({0x3000, 0x3fff});
  EXPECT_EQ(allocate(0x7f0000121000, 2 * page), 0x1000u);
  take({0x1000, 0x1fff});
  EXPECT_EQ(allocate(0x7f0000121000, 2 * page), 0x4000u);
}

TEST_F(IovaAllocation, KeepsOutOfReservedRangesAndInsideAllowedRanges) {
  ASSERT_TRUE(reserve({0x1000, 0x4fff}));
  ASSERT_TRUE(reserve({0x3000, 0x8fff}));
  EXPECT_EQ(allocate(0, page), 0x9000u);
  ASSERT_TRUE(reservations_.allow(std::vector<Range>{{0x20000, 0x20fff}, {0x21000, 0x22fff}, {0, 0xfff}}));
  EXPECT_EQ(allocate(0, page), 0x20000u);
  EXPECT_EQ(allocate(0x1000, 3 * page), 0x20000u) << "neighbours are joined";
  EXPECT_EQ(refusal(0, 4 * page), ENOSPC);
  take({0x20000, 0x22fff});
  EXPECT_EQ(refusal(0, page), ENOSPC);
}

}  // namespace
}  // namespace swiommu
