#include "vfio/devices/nvme/host_memory.h"

#include "vfio/devices/nvme/prp_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmePrpListTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    host_memory = std::make_unique<HostMemory>(slot, slot.open_port().value());
  }
  void TearDown() override {
    host_memory.reset();
    NvmeTest::TearDown();
  }
  Status locate(std::uint64_t prp1, std::uint64_t prp2, std::uint64_t length) {
    return host_memory->locate({.prp1 = prp1, .prp2 = prp2}, length, 12);
  }
  std::unique_ptr<HostMemory> host_memory;
};

TEST_F(NvmePrpListTest, OnePageNeedsNoSecondEntry) {
  EXPECT_EQ(locate(0x5004, 0x123, 0xffc), status::success);
  ASSERT_EQ(host_memory->segments().size(), 1u);
  EXPECT_EQ(host_memory->segments()[0].iova, 0x5004u);
  EXPECT_EQ(locate(0x5004, 0, 0), status::success);
  EXPECT_TRUE(host_memory->segments().empty());
}

TEST_F(NvmePrpListTest, PagesInARowAreOneSegment) {
  EXPECT_EQ(locate(0x5800, 0x6000, 0x1000), status::success);
  ASSERT_EQ(host_memory->segments().size(), 1u);
  EXPECT_EQ(host_memory->segments()[0].length, 0x1000u);
}

TEST_F(NvmePrpListTest, AListThatNamesItselfEnds) {
  std::uint64_t const list = allocate();
  for (std::uint64_t n = 0; n < 512; n++) data<std::uint64_t>(list)[n] = list;
  EXPECT_EQ(locate(list, list, std::uint64_t{8} << 20), status::success);
  std::uint64_t length = 0;
  for (auto const& each : host_memory->segments()) length += each.length;
  EXPECT_EQ(length, std::uint64_t{8} << 20);
}

TEST_F(NvmePrpListTest, AListThatIsNotThereIsATransferError) {
  EXPECT_EQ(locate(page, pages * page, 3 * page), status::data_transfer_error);
  EXPECT_EQ(slot.faults().size(), 1u);
}

TEST_F(NvmePrpListTest, AnyShapeNamesWhatTheDriverMeant) {
  std::mt19937_64 random(testing::UnitTest::GetInstance()->random_seed());
  ScatteredMemory scattered(*this, 2000, random);
  for (int round = 0; round < 2000; round++) {
    std::uint64_t const length = 4 * (1 + random() % (random() % 2 == 0 ? 4 * page : 1500 * page / 4));
    auto const buffer = scattered.make(length);
    ASSERT_EQ(locate(buffer.prp1, buffer.prp2, length), status::success);
    std::vector<HostMemory::Segment> expected;
    for (auto const& [iova, part] : buffer.pieces) {
      if (!expected.empty() && expected.back().iova + expected.back().length == iova)
        expected.back().length += part;
      else
        expected.push_back({iova, part});
    }
    auto const found = host_memory->segments();
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t n = 0; n < found.size(); n++) {
      ASSERT_EQ(found[n].iova, expected[n].iova);
      ASSERT_EQ(found[n].length, expected[n].length);
    }
  }
}

}  // namespace
}  // namespace swiommu::vfio::nvme
