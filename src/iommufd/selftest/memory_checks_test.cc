#include "iommufd/selftest/selftest_fixture.h"

namespace swiommu::iommufd::selftest {
namespace {

class SelftestMemoryTest : public SelftestFixture {
 protected:
  long check_map(std::uint32_t hwpt, std::uint64_t iova, std::uint64_t length, std::uint64_t address) {
    auto c = command(TestOperation::check_map, hwpt);
    c.check_map = {.iova = iova, .length = length, .address = address};
    return test(c);
  }
  long check_pins(std::uint64_t address, std::uint64_t length, std::uint32_t pins) {
    auto c = command(TestOperation::check_references, 0);
    c.check_references = {.length = length, .address = address, .references = pins};
    return test(c);
  }
};

TEST_F(SelftestMemoryTest, EveryDomainLeadsToTheMemoryThatWasMapped) {
  std::uint32_t const space = ioas();
  Mock const first = mock(space);
  long const second = hwpt(first.device, space);
  CallerMemory const memory(4 * page), other(4 * page);
  ASSERT_EQ(map(space, memory.address() + 2048, 3 * page, first_iova), 0);
  for (std::uint32_t const table : {first.hwpt, static_cast<std::uint32_t>(second)}) {
    EXPECT_EQ(check_map(table, first_iova, 3 * page, memory.address() + 2048), 0);
    EXPECT_EQ(check_map(table, first_iova + page, 2048, memory.address() + page + 2048), 0);
    EXPECT_EQ(check_map(table, first_iova, page, memory.address()), -EINVAL);
    EXPECT_EQ(check_map(table, first_iova, page, memory.address() + page + 2048), -EINVAL);
    EXPECT_EQ(check_map(table, first_iova, page, other.address() + 2048), -EINVAL);
    EXPECT_EQ(check_map(table, first_iova, 3 * page + 2048, memory.address() + 2048), -EINVAL);
    EXPECT_EQ(check_map(table, first_iova + 1, page, memory.address()), -EINVAL);
    EXPECT_EQ(check_map(table, first_iova, page, memory.address() + 1), -EINVAL);
    EXPECT_EQ(check_map(table, first_iova, page, 0), -EFAULT);
  }
  EXPECT_EQ(check_map(first.id, first_iova, page, memory.address()), -ENOENT);
  EXPECT_EQ(unmap(space, first_iova, 3 * page), 0);
  EXPECT_EQ(check_map(first.hwpt, first_iova, page, memory.address() + 2048), -EINVAL);
}

TEST_F(SelftestMemoryTest, PagesArePinnedOnceWhileADomainMapsThem) {
  std::uint32_t const space = ioas();
  CallerMemory const memory(4 * page);
  ASSERT_EQ(map(space, memory.address(), 2 * page, first_iova), 0);
  EXPECT_EQ(check_pins(memory.address(), 4 * page, 0), 0);
  Mock const first = mock(space);
  EXPECT_EQ(check_pins(memory.address(), 2 * page, 1), 0);
  EXPECT_EQ(check_pins(memory.address() + 2 * page, 2 * page, 0), 0);
  EXPECT_EQ(check_pins(memory.address(), 4 * page, 1), -EIO);
  EXPECT_GT(hwpt(first.device, space), 0);
  EXPECT_EQ(check_pins(memory.address(), 2 * page, 1), 0);
  ASSERT_EQ(map(space, memory.address() + page, 2 * page, first_iova + 4 * page), 0);  // mapped twice is pinned twice
  EXPECT_EQ(check_pins(memory.address() + page, page, 2), 0);
  EXPECT_EQ(check_pins(memory.address() + 2 * page, page, 1), 0);
  EXPECT_EQ(check_pins(memory.address() + 1, page, 1), -EINVAL);
  EXPECT_EQ(check_pins(memory.address(), page + 1, 1), -EINVAL);
  EXPECT_EQ(check_pins(0, page, 0), -EFAULT);
}

TEST_F(SelftestMemoryTest, AClosedIommufdLeavesNoPins) {
  std::uint32_t const space = ioas();
  CallerMemory const memory(page);
  ASSERT_EQ(map(space, memory.address(), page, first_iova), 0);
  mock(space);
  EXPECT_EQ(check_pins(memory.address(), page, 1), 0);
  file_ = engine_->open().value();
  EXPECT_EQ(check_pins(memory.address(), page, 0), 0);
}

}  // namespace
}  // namespace swiommu::iommufd::selftest
