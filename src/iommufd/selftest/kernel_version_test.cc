#include "iommufd/selftest/kernel_version.h"

#include <gtest/gtest.h>

namespace swiommu::iommufd::selftest {
namespace {

TEST(SelftestKernelVersionTest, DevicesOf612MayAskForLargeLeaves) {
  EXPECT_EQ(leaf_sizes_of_flags(mock_table_usual, 0), 0u);
  EXPECT_EQ(leaf_sizes_of_flags(mock_table_usual, mock_huge_leaves | mock_has_pasids), 0x100000u);
  EXPECT_EQ(leaf_sizes_of_flags(mock_table_huge, mock_huge_leaves), 0u);
}

TEST(SelftestKernelVersionTest, ShortDataIsOf612) {
  EXPECT_TRUE(is_of_6_12({.type = mock_hwpt_type, .address = 1, .length = 4}));
  EXPECT_FALSE(is_of_6_12({.type = mock_hwpt_type, .address = 1, .length = 8}));
}

}  // namespace
}  // namespace swiommu::iommufd::selftest
