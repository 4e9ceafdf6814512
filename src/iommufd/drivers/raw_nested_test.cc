#include "nested_hwpt_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr FormatConfiguration format{.format = FormatName::x86_64, .levels = 4};

using Raw = swiommu_hwpt_raw;
using Stale = swiommu_hwpt_raw_invalidate;

class RawHwptTest : public NestedHwptTest {
 protected:
  void SetUp() override {
    use(driver_of("intel-vtd"));
    ASSERT_TRUE(table_.map({iova, iova + page - 1}, page_at(1)));
  }
  Raw data(std::uint32_t flags = 0) const {
    Raw raw{};
    raw.format = SWIOMMU_FORMAT_X86_64;
    raw.flags = flags;
    raw.root = table_.description().root;
    raw.levels = 4;
    return raw;
  }
  int alloc(Raw const& raw, std::uint32_t* id = nullptr) {
    return NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_RAW, raw, id);
  }
  int stale(std::uint32_t hwpt, std::vector<Stale> const& entries, std::uint32_t* done = nullptr) {
    return invalidate(hwpt, SWIOMMU_HWPT_INVALIDATE_DATA_RAW, entries, done);
  }

  UserTable table_{format, memory_, pages(16, 12)};
};

TEST_F(RawHwptTest, WhatIsNoTableIsRefused) {
  Raw raw = data();
  EXPECT_EQ(alloc(raw), 0) << words_;
  raw.format = 8;
  EXPECT_EQ(alloc(raw), EINVAL);
  raw = data();
  raw.levels = 9;
  EXPECT_EQ(alloc(raw), EINVAL);
  raw = data(1 << 5);
  EXPECT_EQ(alloc(raw), EOPNOTSUPP);
  raw = data();
  raw.__reserved = 1;
  EXPECT_EQ(alloc(raw), EOPNOTSUPP);
  raw = data();
  EXPECT_EQ(NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_RAW, raw, nullptr, 0, 24), EINVAL);
  auto arguments = hwpt_of(device_->id(), parent_);
  arguments.data_type = SWIOMMU_HWPT_DATA_RAW;
  arguments.data_len = sizeof raw;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EFAULT);
}

TEST_F(RawHwptTest, OnlyOnParentsAndWhereTheProfileHasThem) {
  Raw const raw = data();
  EXPECT_EQ(NestedHwptTest::alloc(new_hwpt(*device_, space_), SWIOMMU_HWPT_DATA_RAW, raw), EINVAL);
  Profile profile = load_profile("intel-vtd").value();
  profile.nested = {IOMMU_HWPT_DATA_VTD_S1};
  use(make_driver(profile).value());
  EXPECT_EQ(alloc(raw), EOPNOTSUPP);
}

TEST_F(RawHwptTest, TwoDimensionalAndShadow) {
  for (std::uint32_t const flags : {std::uint32_t{0}, std::uint32_t{SWIOMMU_RAW_SHADOW}}) {
    std::uint32_t hwpt = 0, done = 0;
    ASSERT_TRUE(table_.map({iova, iova + page - 1}, page_at(1)));
    ASSERT_EQ(alloc(data(flags), &hwpt), 0) << words_;
    ASSERT_EQ(attach(*device_, hwpt), 0) << words_;
    auto const port = open_port();
    EXPECT_EQ(read(*port), 11u);
    ASSERT_TRUE(table_.map({iova, iova + page - 1}, page_at(2)));
    EXPECT_EQ(read(*port), 11u);
    ASSERT_EQ(stale(hwpt, {{iova, iova}}, &done), 0) << words_;
    EXPECT_EQ(done, 1u);
    EXPECT_EQ(read(*port), 22u);
    EXPECT_EQ(stale(hwpt, {{0, ~std::uint64_t{0}}, {2, 1}}, &done), EINVAL);
    EXPECT_EQ(done, 1u);
    EXPECT_EQ(invalidate<Stale>(hwpt, SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI, {{0, 1}}), EINVAL);
    device_->detach();
  }
}

TEST_F(RawHwptTest, APasidOfADeviceMayHaveOne) {
  std::uint32_t hwpt = 0;
  Raw const raw = data();
  ASSERT_EQ(NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_RAW, raw, &hwpt, IOMMU_HWPT_ALLOC_PASID), 0) << words_;
  ASSERT_EQ(attach(*device_, hwpt, nullptr, 3), 0) << words_;
  auto const port = open_port();
  EXPECT_EQ(read(*port, 3), 11u);
  EXPECT_EQ(read(*port), 0xffu);
}

}  // namespace
}  // namespace swiommu::iommufd
