// Paging HWPTs of hardware that Linux has no nested ones for.
#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

class DriverPlansTest : public IommufdDeviceTest {
 protected:
  void use(std::shared_ptr<Driver> hardware) {
    device_ = nullptr;
    device_ = bind(new_physical({.capabilities = {.dirty_tracking = true}, .driver = std::move(hardware)}));
    space_ = new_ioas();
  }
  void TearDown() override {
    device_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  int alloc(std::uint32_t flags, std::uint32_t* id = nullptr) {
    auto arguments = hwpt_of(device_->id(), space_, flags);
    int const result = call(IOMMU_HWPT_ALLOC, arguments);
    if (id != nullptr) *id = arguments.out_hwpt_id;
    return result;
  }
  std::vector<Range> usable() {
    std::uint32_t pt = space_;
    EXPECT_TRUE(device_->attach(pt));
    return ioas(space_)->space().iova_ranges().value();
  }

  std::unique_ptr<BoundDevice> device_;
  std::uint32_t space_ = 0;
};

constexpr std::uint32_t parent = IOMMU_HWPT_ALLOC_NEST_PARENT, dirty = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
                        pasid = IOMMU_HWPT_ALLOC_PASID;

TEST_F(DriverPlansTest, AmdWithEverything) {
  std::uint64_t const features = bit(1) | bit(4) | std::uint64_t{2} << 10 | bit(48) | bit(52);
  use(driver_of("amd", {{"efr", features}, {"efr2", bit(3)}}));
  for (std::uint32_t const good : {std::uint32_t{0}, dirty, parent, dirty | parent, pasid}) EXPECT_EQ(alloc(good), 0) << words_;
  for (std::uint32_t const bad : {dirty | pasid, parent | pasid}) EXPECT_EQ(alloc(bad), EOPNOTSUPP);
  iommu_hw_info_amd info{};
  iommu_hw_info arguments{};
  arguments.size = sizeof arguments;
  arguments.dev_id = device_->id();
  arguments.data_len = sizeof info;
  arguments.data_uptr = std::bit_cast<std::uint64_t>(&info);
  ASSERT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
  EXPECT_EQ(arguments.out_data_type, std::uint32_t{IOMMU_HW_INFO_TYPE_AMD});
  EXPECT_EQ(info.efr, features);
  EXPECT_EQ(info.efr2, bit(3));
  std::uint32_t hwpt = 0;
  ASSERT_EQ(alloc(parent, &hwpt), 0);
  TestHwptData const data{};
  auto nested = nested_of(device_->id(), hwpt, data);
  nested.data_type = IOMMU_HWPT_DATA_AMD_GUEST;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, nested), EOPNOTSUPP);
}

TEST_F(DriverPlansTest, AmdWithLittle) {
  use(driver_of("amd", {{"efr", 0}, {"efr2", 0}}));
  EXPECT_EQ(alloc(0), 0);
  for (std::uint32_t const bad : {dirty, parent, pasid}) EXPECT_EQ(alloc(bad), EOPNOTSUPP);
}

TEST_F(DriverPlansTest, AmdReservesInterruptsAndHyperTransport) {
  use(driver_of("amd", {{"efr", std::uint64_t{2} << 10}, {"efr2", 0}}));
  EXPECT_EQ(usable(), (std::vector<Range>{{0, 0xfedfffff}, {0xfef00000, 0xfcffffffff}, {0x10000000000, ~std::uint64_t{0}}}));
}

TEST_F(DriverPlansTest, RiscvWithoutTablesUnderThoseOfGuestsTakesNoFlags) {
  use(driver_of("riscv", {{"capabilities", bit(9) | bit(10)}}));
  EXPECT_EQ(alloc(0), 0) << words_;
  for (std::uint32_t const bad : {dirty, parent, pasid}) EXPECT_EQ(alloc(bad), EOPNOTSUPP);
  EXPECT_EQ(usable(), (std::vector<Range>{{0, low_bits(47)}}));
  iommu_hw_info arguments{};
  arguments.size = sizeof arguments;
  arguments.dev_id = device_->id();
  ASSERT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
  EXPECT_EQ(arguments.out_data_type, std::uint32_t{IOMMU_HW_INFO_TYPE_NONE});
}

TEST_F(DriverPlansTest, ZpciCoversItsDmaRange) {
  use(driver_of("s390-zpci", {{"sdma", 0x100000000}, {"edma", 0x1ffffffff}}));
  EXPECT_EQ(alloc(0), 0) << words_;
  EXPECT_EQ(alloc(dirty), EOPNOTSUPP);
  EXPECT_EQ(usable(), (std::vector<Range>{{0x100000000, 0x1ffffffff}}));
}

TEST_F(DriverPlansTest, HwptsOfOtherHardwareAreNoParents) {
  use(driver_of("amd", {{"efr", bit(4) | bit(48)}, {"efr2", bit(3)}}));
  std::uint32_t hwpt = 0;
  ASSERT_EQ(alloc(parent, &hwpt), 0);
  auto const other = bind(new_physical());
  TestHwptData const data{};
  auto nested = nested_of(other->id(), hwpt, data);
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, nested), EINVAL);
}

}  // namespace
}  // namespace swiommu::iommufd
