#include "nested_hwpt_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t dma_start = 0x100000000, first_iova = dma_start + 0x200000;
constexpr std::uint64_t translation = 0x800, region_third = 1 << 2;
constexpr FormatConfiguration format{.format = FormatName::s390_zpci, .levels = 3};

using Anchor = swiommu_hwpt_zpci;
using Refresh = swiommu_hwpt_zpci_invalidate;

class ZpciDriverTest : public NestedHwptTest {
 protected:
  void SetUp() override { use(driver_of("s390-zpci")); }
  Anchor anchor(UserTable const& table) const {
    return {table.description().root | translation | region_third, dma_start, low_bits(42)};
  }
  int alloc(Anchor const& data, std::uint32_t* id = nullptr) {
    return NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_ZPCI, data, id);
  }
  std::unique_ptr<Port> attached(Anchor const& data) {
    EXPECT_EQ(alloc(data, &hwpt_), 0) << words_;
    EXPECT_EQ(attach(*device_, hwpt_), 0) << words_;
    return open_port();
  }
  int refresh(std::vector<Refresh> const& entries, std::uint32_t* done = nullptr) {
    return invalidate(hwpt_, SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI, entries, done);
  }
  Result<void> map(std::uint64_t n, std::uint64_t to) {
    return table_.map({first_iova + n * page, first_iova + (n + 1) * page - 1}, page_at(to));
  }
  static unsigned read(Port& port, std::uint64_t n) { return NestedHwptTest::read(port, {}, first_iova + n * page); }

  UserTable table_{format, memory_, pages(16, 16), true};
  std::uint32_t hwpt_ = 0;
};

TEST_F(ZpciDriverTest, WhichAnchorsAGuestMayHave) {
  EXPECT_EQ(alloc(anchor(table_)), 0) << words_;
  EXPECT_EQ(alloc({0, 0, ~std::uint64_t{0}}), 0) << words_;
  EXPECT_EQ(alloc({page_at(16) | translation | 4 << 2, 0, ~std::uint64_t{0}}), EINVAL);
  EXPECT_EQ(alloc({page_at(17) | translation | region_third, 0, ~std::uint64_t{0}}), EINVAL);
  Anchor data = anchor(table_);
  data.pal = dma_start - 1;
  EXPECT_EQ(alloc(data), EINVAL);
  data = anchor(table_);
  EXPECT_EQ(NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_RISCV, data), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_ZPCI, data, nullptr, IOMMU_HWPT_ALLOC_PASID), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_ZPCI, data, nullptr, 0, 16), EINVAL);
}

// Guest memory lies where the function's own iovas do not reach.
TEST_F(ZpciDriverTest, ADeviceReservesNothingInItsParent) {
  auto const port = attached(anchor(table_));
  EXPECT_EQ(ioas(space_)->space().iova_ranges().value(), (std::vector<Range>{{0, low_bits(42)}}));
  EXPECT_EQ(replace(*device_, parent_), EADDRINUSE);
  std::uint32_t const other = new_ioas();
  ASSERT_EQ(replace(*device_, new_hwpt(*device_, other)), 0) << words_;
  EXPECT_EQ(ioas(other)->space().iova_ranges().value().at(0).start, dma_start);
  ASSERT_EQ(replace(*device_, hwpt_), 0) << words_;
  EXPECT_EQ(ioas(other)->space().iova_ranges().value(), (std::vector<Range>{{0, low_bits(42)}}));
}

TEST_F(ZpciDriverTest, AttachingReadsTheTableAndRpcitWhatHasChanged) {
  ASSERT_TRUE(map(0, 1));
  auto const port = attached(anchor(table_));
  EXPECT_EQ(read(*port, 0), 11u);
  ASSERT_TRUE(map(0, 2));
  ASSERT_TRUE(map(1, 1));
  EXPECT_EQ(read(*port, 0), 11u);
  EXPECT_EQ(read(*port, 1), 0xffu);  // nothing is mapped: that is remembered, too
  ASSERT_EQ(refresh({{first_iova + page, page}}), 0) << words_;
  EXPECT_EQ(read(*port, 0), 11u);
  EXPECT_EQ(read(*port, 1), 11u);
  std::uint32_t done = 0;
  ASSERT_EQ(refresh({{first_iova, page}, {first_iova + page, page}}, &done), 0);
  EXPECT_EQ(done, 2u);
  EXPECT_EQ(read(*port, 0), 22u);
  ASSERT_TRUE(table_.unmap({first_iova, first_iova + page - 1}));
  ASSERT_EQ(refresh({{0, ~std::uint64_t{0}}}), 0);
  EXPECT_EQ(read(*port, 0), 0xffu);
}

TEST_F(ZpciDriverTest, OnlyIovasBetweenPbaAndPalAreTranslated) {
  for (std::uint64_t const n : {0, 1, 2, 3}) ASSERT_TRUE(map(n, 1));
  Anchor data = anchor(table_);
  data.pba = first_iova + page;
  data.pal = first_iova + 3 * page - 1;
  auto const port = attached(data);
  EXPECT_EQ(read(*port, 0), 0xffu);
  EXPECT_EQ(read(*port, 1), 11u);
  EXPECT_EQ(read(*port, 2), 11u);
  EXPECT_EQ(read(*port, 3), 0xffu);
}

TEST_F(ZpciDriverTest, WithoutTranslationDmaReachesGuestMemoryFromItsStartOn) {
  auto const port = attached({0, 0, ~std::uint64_t{0}});
  EXPECT_EQ(NestedHwptTest::read(*port, {}, dma_start + page_at(1)), 11u);
  EXPECT_EQ(NestedHwptTest::read(*port, {}, page_at(1)), 0xffu);
  EXPECT_EQ(refresh({{0, page}}), 0);
}

TEST_F(ZpciDriverTest, WhatTheParentLosesTheShadowLosesByItself) {
  std::uint32_t const space = new_ioas();
  ASSERT_EQ(IommufdTest::map(space, memory_.data(0), 8 * page, guest), 0);
  ASSERT_EQ(IommufdTest::map(space, memory_.data(8), 56 * page, page_at(8)), 0);
  parent_ = new_hwpt(*device_, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  ASSERT_TRUE(map(0, 1));
  auto const port = attached(anchor(table_));
  EXPECT_EQ(read(*port, 0), 11u);
  ASSERT_EQ(unmap(space, guest, 8 * page), 0);
  EXPECT_EQ(read(*port, 0), 0xffu);
  ASSERT_EQ(IommufdTest::map(space, memory_.data(0), 8 * page, guest), 0);
  EXPECT_EQ(read(*port, 0), 11u);
}

TEST_F(ZpciDriverTest, RefreshesOfWholePagesOnly) {
  attached(anchor(table_));
  std::uint32_t done = 0;
  EXPECT_EQ(refresh({{first_iova, page}, {first_iova + 1, page}}, &done), EINVAL);
  EXPECT_EQ(done, 1u);
  EXPECT_EQ(refresh({{first_iova, 0}}), EINVAL);
  EXPECT_EQ(refresh({{first_iova, 100}}), EINVAL);
  EXPECT_EQ(refresh({{~low_bits(12), 2 * page}}), EINVAL);
  EXPECT_EQ(refresh({}), 0);
  EXPECT_EQ(invalidate<Refresh>(hwpt_, SWIOMMU_HWPT_INVALIDATE_DATA_RAW, {{0, page}}), EINVAL);
}

}  // namespace
}  // namespace swiommu::iommufd
