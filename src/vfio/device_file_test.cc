#include "vfio/device_file.h"

#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

class VfioDeviceFileTest : public VfioTest {
 protected:
  std::shared_ptr<iommufd::OpenFile> device_ = new_device();

  int region_info(std::uint32_t index, vfio_region_info& info, std::uint32_t argsz = sizeof(vfio_region_info)) {
    info.argsz = argsz;
    info.index = index;
    return on(*device_, VFIO_DEVICE_GET_REGION_INFO, &info);
  }
  int feature(std::uint32_t flags, std::uint32_t argsz = 16) {
    struct {
      std::uint32_t argsz, flags, data, reserved;
    } given{argsz, flags, 0, 0};
    given.data = static_cast<std::uint32_t>(wakeup_);
    return on(*device_, VFIO_DEVICE_FEATURE, &given);
  }
  int wakeup_ = -1;
};

TEST_F(VfioDeviceFileTest, SaysWhatItIs) {
  vfio_device_info info{};
  std::memset(&info, 0x55, sizeof info);
  info.argsz = 15;
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_INFO), -EFAULT);
  info.argsz = 16;
  ASSERT_EQ(on(*device_, VFIO_DEVICE_GET_INFO, &info), 0);
  EXPECT_EQ(info.flags, std::uint32_t{VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET});
  EXPECT_EQ(info.num_regions, 9u);
  EXPECT_EQ(info.num_irqs, 5u);
  EXPECT_EQ(info.cap_offset, 0x55555555u) << "no byte beyond the caller's";
  info.argsz = 100;
  ASSERT_EQ(on(*device_, VFIO_DEVICE_GET_INFO, &info), 0);
  EXPECT_EQ(info.cap_offset, 0u);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_INFO, &info), -EFAULT);
}

TEST_F(VfioDeviceFileTest, SaysWhichRegionsItHas) {
  vfio_region_info info{};
  EXPECT_EQ(region_info(0, info, 31), -EINVAL);
  ASSERT_EQ(region_info(2, info), 0);
  EXPECT_EQ(info.size, ToyModel::bar2_bytes);
  EXPECT_EQ(info.flags, 3u) << "not mappable";
  EXPECT_EQ(info.offset, region_offset(2));
  for (std::uint32_t index : {1u, 3u, 4u, 5u, 6u}) {
    ASSERT_EQ(region_info(index, info), 0);
    EXPECT_EQ(info.size, 0u) << index;
    EXPECT_EQ(info.flags, 0u);
    EXPECT_EQ(info.offset, region_offset(index));
  }
  ASSERT_EQ(region_info(VFIO_PCI_CONFIG_REGION_INDEX, info), 0);
  EXPECT_EQ(info.size, 4096u);
  EXPECT_EQ(info.flags, 3u);
  EXPECT_EQ(region_info(VFIO_PCI_VGA_REGION_INDEX, info), -EINVAL);
  EXPECT_EQ(region_info(9, info), -EINVAL);
}

TEST_F(VfioDeviceFileTest, TellsThatTheTableOfMsixMayBeMapped) {
  struct {
    vfio_region_info info;
    vfio_info_cap_header capability;
  } both{};
  ASSERT_EQ(region_info(0, both.info), 0);
  EXPECT_EQ(both.info.flags, 15u);
  EXPECT_EQ(both.info.argsz, 40u) << "the room that is needed";
  EXPECT_EQ(both.info.cap_offset, 0u);
  EXPECT_EQ(both.capability.id, 0u);
  ASSERT_EQ(region_info(0, both.info, 40), 0);
  EXPECT_EQ(both.info.argsz, 40u);
  EXPECT_EQ(both.info.cap_offset, 32u);
  EXPECT_EQ(both.capability.id, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
  EXPECT_EQ(both.capability.version, 1u);
  EXPECT_EQ(both.capability.next, 0u);
}

TEST_F(VfioDeviceFileTest, SaysWhichInterruptsItHas) {
  vfio_irq_info info{};
  info.argsz = 15;
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);
  constexpr std::pair<std::uint32_t, std::uint32_t> expected[] = {{7, 1}, {9, 8}, {1, ToyModel::vectors}, {9, 1}, {9, 1}};
  for (std::uint32_t index = 0; index < 5; index++) {
    info = {sizeof info, 0, index, 0};
    ASSERT_EQ(on(*device_, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
    EXPECT_EQ(std::pair(info.flags, info.count), expected[index]) << index;
  }
  info = {sizeof info, 0, 5, 0};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);
  ModelDescription small = ToyModel::usual();
  small.extended = small.line = false;
  device_ = new_device(small);
  info = {sizeof info, 0, VFIO_PCI_ERR_IRQ_INDEX, 0};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL) << "only PCI Express functions report errors";
  info = {sizeof info, 0, VFIO_PCI_INTX_IRQ_INDEX, 9};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
  EXPECT_EQ(info.count, 0u);
}

TEST_F(VfioDeviceFileTest, HasNoOtherIoctls) {
  for (std::uint32_t request : {VFIO_DEVICE_QUERY_GFX_PLANE, VFIO_DEVICE_GET_GFX_DMABUF, VFIO_DEVICE_IOEVENTFD,
                                VFIO_MIG_GET_PRECOPY_INFO, VFIO_GET_API_VERSION, 0x3bffu})
    EXPECT_EQ(on(*device_, request), -ENOTTY) << request;
}

TEST_F(VfioDeviceFileTest, ResetsTheModelAndNotTheConfiguration) {
  int const event = new_event();
  ASSERT_EQ(set_events<1>(*device_, VFIO_PCI_MSIX_IRQ_INDEX, 0, {event}), 0);
  set_bus_master(*device_);
  set_config<std::uint16_t>(*device_, 0x44, 3);
  int const before = log_->resets;
  ASSERT_EQ(on(*device_, VFIO_DEVICE_RESET), 0);
  EXPECT_EQ(log_->resets, before + 1);
  EXPECT_EQ(config<std::uint16_t>(*device_, 4), 6u);
  EXPECT_EQ(config<std::uint16_t>(*device_, 0x44), 8u) << "D0";
  command(*device_, ToyModel::message);
  EXPECT_EQ(count(event), 1u) << "who listens stays";
}

TEST_F(VfioDeviceFileTest, IsAloneOnItsBus) {
  std::array<std::uint32_t, 5> given{11};  // argsz, flags, count, the device
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &given), -EINVAL);
  given[0] = 12;
  EXPECT_EQ(on(*device_, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &given), -ENOSPC);
  EXPECT_EQ(given[2], 1u);
  given[0] = sizeof given;
  ASSERT_EQ(on(*device_, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &given), 0);
  EXPECT_EQ(given[1], 3u) << "ids of the iommufd, all of which are its own";
  EXPECT_EQ(given[3], device_id_);
  EXPECT_EQ(given[4], 0x00010000u) << "segment 0, bus 1, device 0";

  std::array<std::uint32_t, 4> reset{11};  // argsz, flags, count, a group
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
  reset = {16, 1, 0};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
  reset = {16, 0, 1};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL) << "cdevs show no groups";
  reset = {12, 0, 0};
  int const before = log_->resets;
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
  EXPECT_EQ(log_->resets, before + 1);
}

TEST_F(VfioDeviceFileTest, FeaturesThatAreNotThereAreEnotty) {
  constexpr std::uint32_t probe = VFIO_DEVICE_FEATURE_PROBE, set = VFIO_DEVICE_FEATURE_SET, get = VFIO_DEVICE_FEATURE_GET;
  EXPECT_EQ(feature(0, 7), -EINVAL);
  EXPECT_EQ(feature(probe | 1u << 20), -EINVAL);
  EXPECT_EQ(feature(set | get), -EINVAL);
  for (std::uint32_t number : {VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, VFIO_DEVICE_FEATURE_MIGRATION,
                               VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_BUS_MASTER, 1000})
    EXPECT_EQ(feature(probe | set | get | number), -ENOTTY) << number;
  EXPECT_EQ(feature(set | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, 24), -ENOTTY);
}

TEST_F(VfioDeviceFileTest, LowPowerIsEnteredOnceAndLeftAtAnyTime) {
  constexpr std::uint32_t probe = VFIO_DEVICE_FEATURE_PROBE, set = VFIO_DEVICE_FEATURE_SET, get = VFIO_DEVICE_FEATURE_GET;
  constexpr std::uint32_t entry = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, leave = VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
                          with_wakeup = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
  EXPECT_EQ(feature(probe | set | entry), 0);
  EXPECT_EQ(feature(probe | get | entry), -EINVAL);
  EXPECT_EQ(feature(entry), -EINVAL);
  EXPECT_EQ(feature(set | leave, 8), 0);
  EXPECT_EQ(feature(set | entry, 8), 0);
  EXPECT_EQ(feature(set | entry, 8), -EINVAL);
  EXPECT_EQ(feature(set | leave, 8), 0);
  EXPECT_EQ(feature(set | with_wakeup, 12), -EINVAL);
  EXPECT_EQ(feature(set | with_wakeup), -EINVAL) << "-1";
  wakeup_ = 123456;
  EXPECT_EQ(feature(set | with_wakeup), -EBADF);
  wakeup_ = new_event();
  EXPECT_EQ(feature(set | with_wakeup), 0);
}

}  // namespace
}  // namespace swiommu::vfio
