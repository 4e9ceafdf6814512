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

struct NvmeSglTest : NvmePrpListTest {
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t length, type;  // the type in the highest four bits
  };
  static constexpr std::uint32_t data_block = 0, bit_bucket = 1u << 28, segment = 2u << 28, last_segment = 3u << 28;
  Status locate(Descriptor const& own, std::uint64_t length) {
    Command command{.flags = 0x40, .prp1 = own.address, .prp2 = own.length | static_cast<std::uint64_t>(own.type) << 32};
    return host_memory->locate(command, length, 12);
  }
  std::uint64_t put(std::initializer_list<Descriptor> descriptors) {
    std::uint64_t const at = allocate();
    std::memcpy(data(at), std::data(descriptors), descriptors.size() * sizeof(Descriptor));
    return at;
  }
};

TEST_F(NvmeSglTest, DescriptorsNameAnyBytes) {
  EXPECT_EQ(locate({0x5001, 100, data_block}, 100), status::success);
  ASSERT_EQ(host_memory->segments().size(), 1u);
  EXPECT_EQ(host_memory->segments()[0].iova, 0x5001u);
  std::uint64_t const end = put({{0x9003, 1, data_block}, {0, 0, data_block}, {0xa000, 0x2000, data_block}});
  std::uint64_t const begin = put({{0x7000, 7, data_block}, {end, 48, last_segment}});
  EXPECT_EQ(locate({begin, 32, segment}, 0x2008), status::success);
  ASSERT_EQ(host_memory->segments().size(), 3u);
  EXPECT_EQ(host_memory->segments()[2].length, 0x2000u);
}

TEST_F(NvmeSglTest, WrongListsAreRefused) {
  EXPECT_EQ(locate({0x5000, 99, data_block}, 100), status::data_sgl_length_invalid);
  EXPECT_EQ(locate({0x5000, 101, data_block}, 100), status::data_sgl_length_invalid);
  EXPECT_EQ(locate({0x5000, 100, bit_bucket}, 100), status::sgl_descriptor_type_invalid);
  EXPECT_EQ(locate({0x5000, 100, 1u << 24}, 100), status::sgl_descriptor_type_invalid) << "a subtype of fabrics";
  EXPECT_EQ(locate({0x5000, 24, segment}, 100), status::invalid_sgl_segment_descriptor);
  EXPECT_EQ(locate({0x5000, 0, last_segment}, 100), status::invalid_sgl_segment_descriptor);
  EXPECT_EQ(locate({0x5000, 0xfffffff0, segment}, 100), status::invalid_number_of_sgl_descriptors);
  EXPECT_EQ(locate({pages * page, 32, segment}, 100), status::data_transfer_error);
  std::uint64_t const data_only = put({{0x5000, 50, data_block}, {0x6000, 50, data_block}});
  EXPECT_EQ(locate({data_only, 32, last_segment}, 100), status::success);
  EXPECT_EQ(locate({data_only, 32, segment}, 100), status::invalid_sgl_segment_descriptor) << "leads nowhere";
  std::uint64_t const wrong_place = put({{data_only, 32, last_segment}, {0x6000, 50, data_block}});
  EXPECT_EQ(locate({wrong_place, 32, segment}, 100), status::invalid_sgl_segment_descriptor);
  EXPECT_EQ(locate({wrong_place, 16, last_segment}, 100), status::invalid_sgl_segment_descriptor);
}

TEST_F(NvmeSglTest, AListThatNamesItselfEnds) {
  std::uint64_t const list = allocate();
  Descriptor const itself{list, 16, segment};
  std::memcpy(data(list), &itself, sizeof itself);
  EXPECT_EQ(locate(itself, 100), status::invalid_number_of_sgl_descriptors);
}

TEST_F(NvmePrpListTest, AnyShapeNamesWhatTheDriverMeant) {
  SCOPED_TRACE(fmt::format("SWIOMMU_SEED={}", conformance::seed()));
  std::mt19937_64 random(conformance::seed());
  ScatteredMemory scattered(*this, 2000, random);
  for (int round = 0; round < static_cast<int>(conformance::effort(2000)); round++) {
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
