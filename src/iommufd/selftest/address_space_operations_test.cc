#include "iommufd/selftest/selftest_fixture.h"

namespace swiommu::iommufd::selftest {
namespace {

class SelftestAddressSpaceTest : public SelftestFixture {
 protected:
  long reserve(std::uint32_t ioas, std::uint64_t start, std::uint64_t length) {
    auto c = command(TestOperation::add_reserved, ioas);
    c.add_reserved = {.start = start, .length = length};
    return test(c);
  }
};

TEST_F(SelftestAddressSpaceTest, ReservedIovasCannotBeMapped) {
  std::uint32_t const space = ioas();
  CallerMemory const memory(page);
  EXPECT_EQ(reserve(space, first_iova, page), 0);
  EXPECT_EQ(reserve(space, first_iova, 2 * page), 0);  // reserved ranges may overlap
  EXPECT_EQ(map(space, memory.address(), page, first_iova + page), -EINVAL);
  EXPECT_EQ(map(space, memory.address(), page, first_iova + 2 * page), 0);
  EXPECT_EQ(reserve(space, first_iova + 2 * page, 1), -EADDRINUSE);
  EXPECT_EQ(reserve(space, first_iova, 0), -EINVAL);
  EXPECT_EQ(reserve(space, 6, ~std::uint64_t{0} - 5), -EOVERFLOW);
  EXPECT_EQ(reserve(space + 9, first_iova, page), -ENOENT);
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(SelftestAddressSpaceTest, TheMemoryLimitHoldsAtLeastOneElement) {
  auto c = command(TestOperation::memory_limit, 0);
  c.memory_limit = 11;
  EXPECT_EQ(test(c), -EINVAL);
  c.memory_limit = 12;
  EXPECT_EQ(test(c), 0);
}

TEST_F(SelftestAddressSpaceTest, ThereAreNoOtherOperations) {
  for (std::uint32_t const operation : {0u, 24u, ~0u}) {
    auto c = command(static_cast<TestOperation>(operation), 0);
    EXPECT_EQ(test(c), -EOPNOTSUPP) << operation;
  }
}

TEST_F(SelftestAddressSpaceTest, TheStructureMayEndBeforeItsPadding) {
  auto c = command(TestOperation::memory_limit, 0);
  c.memory_limit = 12;
  c.size = least_test_command;
  EXPECT_EQ(test(c), 0);
  c.size = least_test_command - 1;
  EXPECT_EQ(test(c), -EINVAL);
}

class OrdinaryProfileTest : public SelftestFixture {
 protected:
  OrdinaryProfileTest() : SelftestFixture("intel-vtd") {}
};

TEST_F(OrdinaryProfileTest, OtherProfilesDoNotHaveTheIoctl) {
  auto c = command(TestOperation::memory_limit, 0);
  c.memory_limit = 12;
  EXPECT_EQ(test(c), -ENOTTY);
}

}  // namespace
}  // namespace swiommu::iommufd::selftest
