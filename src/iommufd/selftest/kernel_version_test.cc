#include "iommufd/selftest/kernel_version.h"

#include <gtest/gtest.h>

namespace swiommu::iommufd::selftest {
namespace {

TEST(SelftestKernelVersionTest, OnlyTheProfilesOfTheSelftestsHaveAMockIommu) {
  EXPECT_EQ(leaves_of_profile("kernel-selftest"), Leaves::of_2_kib);
  EXPECT_EQ(leaves_of_profile("kernel-selftest-7.3"), Leaves::up_to_4_kib);
  EXPECT_EQ(leaves_of_profile("intel-vtd"), std::nullopt);
  EXPECT_EQ(leaves_of_profile(""), std::nullopt);
}

TEST(SelftestKernelVersionTest, LeavesAreOfTheHostsPageFrom73On) {
  EXPECT_EQ(leaf_sizes(Leaves::of_2_kib, mock_table_usual, 0), 0x800u);
  EXPECT_EQ(leaf_sizes(Leaves::of_2_kib, mock_table_usual, mock_huge_leaves), 0x100800u);
  EXPECT_EQ(leaf_sizes(Leaves::up_to_4_kib, mock_table_usual, 0), 0x1800u);
  EXPECT_EQ(leaf_sizes(Leaves::of_2_kib, mock_table_huge, 0), 0x101000u);
  EXPECT_EQ(leaf_sizes(Leaves::up_to_4_kib, mock_table_huge, 0), 0x101000u);
}

TEST(SelftestKernelVersionTest, ShortDataIsOf612) {
  EXPECT_TRUE(is_of_6_12({.type = mock_hwpt_type, .address = 1, .length = 4}));
  EXPECT_FALSE(is_of_6_12({.type = mock_hwpt_type, .address = 1, .length = 8}));
}

}  // namespace
}  // namespace swiommu::iommufd::selftest
