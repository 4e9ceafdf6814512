#include <algorithm>
#include <random>

#include "port_fixture.h"

namespace swiommu {
namespace {

TEST_F(PortTest, CopiesFromPageToPageAndSaysWhichSideEndedIt) {
  ASSERT_TRUE(device->attach(domain));
  for (std::uint64_t n = 0; n < 40; n++) map(n, 2 * n);  // pages that lie apart
  map(40, 90, 1, Access::reading());
  std::vector<std::uint8_t> bytes(18 * page);
  std::ranges::generate(bytes, std::mt19937());
  ASSERT_TRUE(port->write(Iova(0), bytes.data(), bytes.size()).ok());
  DmaCounts const before = port->counts();
  DmaResult const all = port->copy(Iova(5), Iova(20 * page + 11), bytes.size() - 5);
  EXPECT_TRUE(all.ok());
  EXPECT_EQ(all.done, bytes.size() - 5);
  EXPECT_EQ(port->counts().bytes - before.bytes, 2 * all.done);
  std::vector<std::uint8_t> back(bytes.size() - 5);
  ASSERT_TRUE(port->read(Iova(20 * page + 11), back.data(), back.size()).ok());
  EXPECT_EQ(std::memcmp(back.data(), bytes.data() + 5, back.size()), 0);

  DmaResult const written = port->copy(Iova(0), Iova(39 * page + 7), 2 * page);
  EXPECT_EQ(written.done, page - 7);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->access, Access::writing());
  EXPECT_EQ(written.fault->iova, 40 * page);
  DmaResult const read = port->copy(Iova(41 * page - 10), Iova(0), page);
  EXPECT_EQ(read.done, 10u);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.fault->access, Access::reading());
  EXPECT_EQ(read.fault->iova, 41 * page);
  ASSERT_TRUE(port->read(Iova(39 * page + 7), back.data(), page - 7).ok());
  EXPECT_EQ(std::memcmp(back.data(), bytes.data(), page - 7), 0);
}

TEST_F(PortTest, CopiesDoNotWrapAtTheTopOfTheSpaceOnEitherSide) {
  domain = make_domain({.format = FormatName::amd_v1, .levels = 6});
  ASSERT_TRUE(device->attach(domain));
  map(0, 5);
  map(~std::uint64_t{0} / page, 6);
  auto const bytes = pattern(16);
  ASSERT_TRUE(port->write(Iova(16), bytes.data(), 16).ok());
  Iova const near_top(~std::uint64_t{0} - 7);
  DmaResult const written = port->copy(Iova(16), near_top, 16);
  EXPECT_EQ(written.done, 8u);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.fault->reason, Reason::out_of_range);
  EXPECT_EQ(written.fault->access, Access::writing());
  DmaResult const read = port->copy(near_top, Iova(64), 16);
  EXPECT_EQ(read.done, 8u);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.fault->access, Access::reading());
  EXPECT_EQ(std::memcmp(memory->data(5) + 64, bytes.data(), 8), 0);
  EXPECT_EQ(memory->data(5)[0], std::byte{0});
}

}  // namespace
}  // namespace swiommu
