#include "swiommu/page_table/gather.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

TEST(Gather, HoldsAllRangesInOne) {
  Gather gather;
  EXPECT_FALSE(gather.range());
  gather.add_range({0x3000, 0x3fff});
  EXPECT_EQ(gather.range(), (Range{0x3000, 0x3fff}));
  gather.add_range({0x8000, ~std::uint64_t{0}});
  gather.add_range({0x1000, 0x1fff});
  gather.add_range({0x4000, 0x4fff});
  EXPECT_EQ(gather.range(), (Range{0x1000, ~std::uint64_t{0}}));
}

TEST(Gather, KeepsTablesUntilItIsFinished) {
  auto const allocator = *TableAllocator::create(std::uint64_t{64} << 20);
  Gather gather;
  for (unsigned const lg2 : {7u, 12u, 12u, 16u}) gather.add_table(*allocator, *allocator->allocate(lg2), lg2);
  EXPECT_TRUE(gather.has_tables());
  EXPECT_EQ(allocator->tables_in_use(), 4u);
  gather.finish();
  EXPECT_FALSE(gather.has_tables());
  EXPECT_EQ(allocator->tables_in_use(), 0u);
  EXPECT_EQ(allocator->bytes_in_use(), 0u);
  gather.finish();  // nothing left to do
  gather.add_table(*allocator, *allocator->allocate(12), 12);
  gather.finish();
  EXPECT_EQ(allocator->tables_in_use(), 0u);
}

#ifndef NDEBUG
TEST(GatherDeathTest, MustBeFinished) {
  EXPECT_DEATH(
      {
        auto const allocator = *TableAllocator::create(std::uint64_t{64} << 20);
        Gather gather;
        gather.add_table(*allocator, *allocator->allocate(12), 12);
      },
      "must be finished");
}
#endif

}  // namespace
}  // namespace swiommu
