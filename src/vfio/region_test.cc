#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

using Access = ToyModel::Access;

class VfioRegionTest : public VfioTest {
 protected:
  std::shared_ptr<iommufd::OpenFile> device_ = new_device();

  // EINVAL and so on; 0 if it can be mapped.
  int map(std::uint64_t offset, std::uint64_t length, int flags = MAP_SHARED) {
    auto const mapped = device_->map(offset, length, PROT_READ | PROT_WRITE, flags);
    return mapped ? 0 : mapped.error().code;
  }
  std::vector<Access> accesses() { return std::exchange(log_->accesses, {}); }
};

TEST_F(VfioRegionTest, AccessesOfBarsAreSplitWhereTheyAreNotAligned) {
  std::array<std::uint8_t, 16> bytes{};
  ASSERT_EQ(device_->read_at(caller_, std::bit_cast<std::uint64_t>(bytes.data()), 16, region_offset(2) + 5).value(), 16u);
  EXPECT_EQ(accesses(), (std::vector<Access>{{5, 1, 0x33, false},
                                             {6, 2, 0x1122, false},
                                             {8, 8, 0x1122334455667788, false},
                                             {16, 4, 0x55667788, false},
                                             {20, 1, 0x44, false}}));
  EXPECT_EQ(bytes[0], 0x33);
  EXPECT_EQ(bytes[3], 0x88);
  ASSERT_TRUE(put(*device_, region_offset(2) + 0x10, std::uint32_t{0xabcdef01}));
  ASSERT_TRUE(put(*device_, region_offset(2) + 0x11, std::uint16_t{0x2345}));
  EXPECT_EQ(accesses(), (std::vector<Access>{{0x10, 4, 0xabcdef01, true}, {0x11, 1, 0x45, true}, {0x12, 1, 0x23, true}}));
}

TEST_F(VfioRegionTest, WhatIsBeyondTheEndIsCutOffOrRefused) {
  std::uint64_t value = 0;
  EXPECT_EQ(get(*device_, region_offset(2) + 0xffc, value).value(), 4u);
  EXPECT_EQ(get(*device_, region_offset(2) + 0x1000, value).error().code, EINVAL);
  EXPECT_EQ(put(*device_, region_offset(2) + 0x1000, value).error().code, EINVAL);
}

TEST_F(VfioRegionTest, OtherRegionsAreRefused) {
  std::uint32_t value = 0;
  for (unsigned index : {1u, 3u, 4u, 5u, 6u, 8u, 9u, 200u})
    EXPECT_EQ(get(*device_, region_offset(index), value).error().code, EINVAL) << index;
  EXPECT_EQ(put(*device_, region_offset(6), value).error().code, EINVAL);
  EXPECT_EQ(device_->read_at(caller_, 0, 0, region_offset(8)).value(), 0u) << "nothing is always read";
}

TEST_F(VfioRegionTest, AccessesFailWhileMemoryIsNotEnabled) {
  set_config<std::uint16_t>(*device_, 4, 0);
  std::uint32_t value = 0;
  EXPECT_EQ(get(*device_, 0, value).error().code, EIO);
  EXPECT_EQ(put(*device_, 0, value).error().code, EIO);
  EXPECT_EQ(get(*device_, ToyModel::pending, value).error().code, EIO);
  EXPECT_TRUE(get(*device_, ToyModel::table, value)) << "which is not accessed at all";
  set_config<std::uint16_t>(*device_, 4, 2);
  EXPECT_TRUE(get(*device_, 0, value));
}

TEST_F(VfioRegionTest, BadAddressesOfTheCallerAreEfault) {
  EXPECT_EQ(device_->read_at(caller_, 8, 4, 0).error().code, EFAULT);
  EXPECT_EQ(device_->write_at(caller_, 8, 4, 0).error().code, EFAULT);
  EXPECT_EQ(device_->read_at(caller_, 8, 4, ToyModel::table).error().code, EFAULT);
}

TEST_F(VfioRegionTest, TheTableOfMsixReadsAsOnesAndIsNotWritten) {
  std::array<std::uint8_t, 32> bytes{};
  ASSERT_TRUE(put(*device_, ToyModel::table - 8, std::uint64_t{0x0102030405060708}));
  ASSERT_TRUE(put(*device_, ToyModel::table + 16 * ToyModel::vectors, std::uint64_t{0}));
  ASSERT_TRUE(put(*device_, ToyModel::table, bytes));
  ASSERT_EQ(get(*device_, ToyModel::table - 4, bytes).value(), bytes.size());
  EXPECT_EQ(bytes[3], 1u);
  for (unsigned n = 4; n < bytes.size(); n++) EXPECT_EQ(bytes[n], 0xff);
  ASSERT_TRUE(get(*device_, ToyModel::table + 16 * ToyModel::vectors - 8, bytes));
  EXPECT_EQ(bytes[7], 0xff);
  EXPECT_EQ(bytes[8], 0u);
}

TEST_F(VfioRegionTest, ReadAndWriteGoOnWhereTheyEnded) {
  std::uint32_t const two[] = {7, 8};
  EXPECT_EQ(device_->write(caller_, std::bit_cast<std::uint64_t>(&two), 8).value(), 8u);
  std::uint32_t value = 0;
  ASSERT_TRUE(get(*device_, 4, value));
  EXPECT_EQ(value, 8u);
  ASSERT_TRUE(put(*device_, 8, std::uint32_t{9}));
  EXPECT_EQ(device_->read(caller_, std::bit_cast<std::uint64_t>(&value), 4).value(), 4u);
  EXPECT_EQ(value, 9u);
}

TEST_F(VfioRegionTest, MapsPagesOfMappableBars) {
  EXPECT_EQ(map(0, 0x10000), 0);
  EXPECT_EQ(map(0x1000, 0x2000), 0);
  EXPECT_EQ(map(ToyModel::table, 0x1000), 0) << "as Linux allows since 4.16";
  EXPECT_EQ(map(0, 0x1000, MAP_PRIVATE), EINVAL);
  EXPECT_EQ(map(0x800, 0x1000), EINVAL);
  EXPECT_EQ(map(0, 0), EINVAL);
  EXPECT_EQ(map(0, 0x11000), EINVAL);
  EXPECT_EQ(map(0xf000, 0x2000), EINVAL);
  EXPECT_EQ(map(0x10000, 0x1000), EINVAL);
  EXPECT_EQ(map(0x1000, ~std::uint64_t{0xfff}), EINVAL);
  EXPECT_EQ(map(region_offset(1), 0x1000), EINVAL);
  EXPECT_EQ(map(region_offset(2), 0x1000), EINVAL) << "not mappable";
  for (unsigned index : {6u, 7u, 8u, 9u}) EXPECT_EQ(map(region_offset(index), 0x1000), EINVAL);
}

TEST_F(VfioRegionTest, AMappingShowsTheModelsMemoryAndKeepsTheFileOpen) {
  auto mapped = device_->map(0x1000, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED).value();
  void* const at =
      ::mmap(nullptr, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED, mapped->descriptor(), static_cast<off_t>(mapped->offset()));
  ASSERT_NE(at, MAP_FAILED);
  ASSERT_TRUE(put(*device_, 0x1008, std::uint32_t{77}));
  EXPECT_EQ(static_cast<std::uint32_t*>(at)[2], 77u);
  int const before = log_->resets;
  device_ = nullptr;
  EXPECT_EQ(log_->resets, before);
  ::munmap(at, 0x1000);
  mapped = nullptr;
  EXPECT_GT(log_->resets, before);
}

}  // namespace
}  // namespace swiommu::vfio
