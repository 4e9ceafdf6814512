#include "swiommu/uapi/vfio_type1.h"
#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

constexpr std::uint32_t viable = VFIO_GROUP_FLAGS_VIABLE, container_set = VFIO_GROUP_FLAGS_CONTAINER_SET;

class VfioGroupTest : public VfioTest {
 protected:
  VfioGroupTest() {
    EXPECT_TRUE(plug());
    group_ = bus_->open("/dev/vfio/1").value();
    container_ = bus_->open("/dev/vfio/vfio").value();
  }

  int set_container(std::shared_ptr<iommufd::OpenFile> const& container) { return set_container(descriptor_of(container)); }
  int set_container(std::int32_t descriptor) { return on(*group_, VFIO_GROUP_SET_CONTAINER, &descriptor); }
  std::uint32_t status() {
    vfio_group_status given{sizeof given, 0};
    EXPECT_EQ(on(*group_, VFIO_GROUP_GET_STATUS, &given), 0);
    return given.flags;
  }
  // The file of a device, or the errno.
  int device_of(char const* name, std::shared_ptr<iommufd::OpenFile>* file = nullptr) {
    int const descriptor = on(*group_, VFIO_GROUP_GET_DEVICE_FD, name);
    if (descriptor < 0) return descriptor;
    if (file != nullptr) *file = caller_.open_file(descriptor);
    caller_.uninstall(descriptor);
    return 0;
  }
  int map_dma(void const* data, std::uint64_t iova) {
    vfio_iommu_type1_dma_map given{
        .argsz = sizeof given, .flags = 3, .vaddr = std::bit_cast<std::uint64_t>(data), .iova = iova, .size = page};
    return on(*container_, VFIO_IOMMU_MAP_DMA, &given);
  }
  int unmap_all() {
    struct {
      std::uint32_t argsz, flags;
      std::uint64_t iova, size;
    } given{24, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0};
    return on(*container_, VFIO_IOMMU_UNMAP_DMA, &given);
  }
  int set_iommu() {
    auto const result = container_->ioctl(caller_, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    return result ? 0 : -result.error().code;
  }

  std::shared_ptr<iommufd::OpenFile> group_, container_, device_;
};

TEST_F(VfioGroupTest, TellsItsStatus) {
  vfio_group_status given{7, 0};
  EXPECT_EQ(on(*group_, VFIO_GROUP_GET_STATUS, &given), -EINVAL);
  EXPECT_EQ(on(*group_, VFIO_GROUP_GET_STATUS), -EFAULT);
  EXPECT_EQ(status(), viable);
  ASSERT_EQ(set_container(container_), 0);
  EXPECT_EQ(status(), viable | container_set);
  ASSERT_EQ(on(*group_, VFIO_GROUP_UNSET_CONTAINER), 0);
  EXPECT_EQ(status(), viable);
}

TEST_F(VfioGroupTest, TakesOneContainer) {
  EXPECT_EQ(on(*group_, VFIO_GROUP_SET_CONTAINER), -EFAULT);
  EXPECT_EQ(set_container(123456), -EBADF);
  EXPECT_EQ(set_container(new_event()), -EBADFD);
  EXPECT_EQ(set_container(group_), -EBADFD);
  EXPECT_EQ(on(*group_, VFIO_GROUP_UNSET_CONTAINER), -EINVAL);
  ASSERT_EQ(set_container(container_), 0);
  EXPECT_EQ(set_container(container_), -EINVAL);
  EXPECT_EQ(set_container(group_), -EINVAL) << "whatever it is";
  ASSERT_EQ(on(*group_, VFIO_GROUP_UNSET_CONTAINER), 0);
  EXPECT_EQ(set_container(file_), 0) << "/dev/iommu is one as well";
}

TEST_F(VfioGroupTest, HasNoOtherIoctls) {
  for (std::uint32_t request : {VFIO_GET_API_VERSION, VFIO_DEVICE_GET_INFO, VFIO_DEVICE_BIND_IOMMUFD, 0x3bffu})
    EXPECT_EQ(on(*group_, request), -ENOTTY);
}

TEST_F(VfioGroupTest, TheContainerNeedsAGroup) {
  EXPECT_EQ(set_iommu(), -ENODEV);
  ASSERT_EQ(set_container(container_), 0);
  EXPECT_EQ(set_iommu(), 0);
}

TEST_F(VfioGroupTest, GivesDevicesByTheirNames) {
  EXPECT_EQ(device_of("0000:01:00.0"), -EINVAL) << "without a container";
  ASSERT_EQ(set_container(container_), 0);
  EXPECT_EQ(on(*group_, VFIO_GROUP_GET_DEVICE_FD), -EFAULT);
  EXPECT_EQ(device_of("0000:02:00.0"), -ENODEV);
  EXPECT_EQ(device_of("0000:01:00.00"), -ENODEV);
  EXPECT_EQ(device_of("0000:01:00"), -ENODEV);
  EXPECT_EQ(device_of("0000:01:00.0 nothing=1"), -EINVAL);
  EXPECT_EQ(device_of("0000:01:00.0 vf_token=1"), -EINVAL);
  EXPECT_EQ(device_of("0000:01:00.0 vf_token=bd8d9d2b-5a5f-4f5a-a211-f591514ba1f3"), -EINVAL) << "no virtual function";
  EXPECT_EQ(device_of(std::string(page, 'x').c_str()), -EINVAL);
  EXPECT_EQ(device_of("0000:01:00.0 "), 0);
  EXPECT_EQ(device_of("0000:01:00.0"), 0);
  caller_.most_descriptors = 0;
  EXPECT_EQ(device_of("0000:01:00.0"), -EMFILE);
}

TEST_F(VfioGroupTest, DmaGoesThroughWhatTheContainerMaps) {
  ASSERT_EQ(set_container(container_), 0);
  ASSERT_EQ(set_iommu(), 0);
  auto* const data = memory(page);
  ASSERT_EQ(map_dma(data, 0x100000), 0);
  ASSERT_EQ(device_of("0000:01:00.0", &device_), 0) << words_;
  set_bus_master(*device_);
  EXPECT_TRUE(writes_to(*device_, 0x100000, 0x77));
  std::uint64_t value = 0;
  std::memcpy(&value, data, sizeof value);
  EXPECT_EQ(value, 0x77u);
  ASSERT_EQ(map_dma(data, 0x300000), 0) << "what comes later too";
  EXPECT_TRUE(writes_to(*device_, 0x300000, 0x78));
  ASSERT_EQ(unmap_all(), 0);
  EXPECT_FALSE(writes_to(*device_, 0x100000, 1));
}

TEST_F(VfioGroupTest, ItsDevicesAreAttachedByTheGroup) {
  ASSERT_EQ(set_container(container_), 0);
  ASSERT_EQ(device_of("0000:01:00.0", &device_), 0);
  EXPECT_EQ(bind(*device_), -EINVAL);
  EXPECT_EQ(attach(*device_, new_ioas()), -ENOTTY);
  EXPECT_EQ(detach(*device_), -ENOTTY);
  std::array<std::uint32_t, 5> info{20};
  ASSERT_EQ(on(*device_, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
  EXPECT_EQ(info[1], 0u);
  EXPECT_EQ(info[3], 1u) << "the number of the group";
}

TEST_F(VfioGroupTest, ResetsTheBusForWhoShowsTheGroup) {
  ASSERT_EQ(set_container(container_), 0);
  ASSERT_EQ(device_of("0000:01:00.0", &device_), 0);
  std::array<std::int32_t, 5> reset{12, 0, 0};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL) << "no group";
  reset = {20, 0, 2};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL) << "too many";
  reset = {16, 0, 1, 123456};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EBADF);
  reset = {16, 0, 1, descriptor_of(container_)};
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
  reset = {16, 0, 1, descriptor_of(group_)};
  int const before = log_->resets;
  EXPECT_EQ(on(*device_, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
  EXPECT_EQ(log_->resets, before + 1);
}

TEST_F(VfioGroupTest, FilesOfOneDeviceShareItUntilTheLastIsClosed) {
  ASSERT_EQ(set_container(container_), 0);
  ASSERT_EQ(map_dma(memory(page), 0x100000), 0);
  std::shared_ptr<iommufd::OpenFile> second;
  ASSERT_EQ(device_of("0000:01:00.0", &device_), 0);
  ASSERT_EQ(device_of("0000:01:00.0", &second), 0);
  set_bus_master(*device_);
  device_ = nullptr;
  EXPECT_TRUE(writes_to(*second, 0x100000, 1));
  int const before = log_->resets;
  second = nullptr;
  EXPECT_EQ(log_->resets, before + 1);
}

TEST_F(VfioGroupTest, IsOpenOnceAndNeverBesideACdev) {
  EXPECT_EQ(bus_->open_group(1).error().code, EBUSY);
  auto cdev = bus_->open_device(0).value();
  EXPECT_EQ(bind(*cdev), -EBUSY);
  group_ = nullptr;
  EXPECT_EQ(bind(*cdev), 0);
  EXPECT_EQ(bus_->open_group(1).error().code, EBUSY);
  cdev = nullptr;
  EXPECT_TRUE(bus_->open_group(1));
}

TEST_F(VfioGroupTest, DevicesKeepTheGroupAndTheContainer) {
  ASSERT_EQ(set_container(container_), 0);
  ASSERT_EQ(map_dma(memory(page), 0x100000), 0);
  ASSERT_EQ(device_of("0000:01:00.0", &device_), 0);
  caller_.files().clear();
  group_ = container_ = nullptr;
  EXPECT_EQ(bus_->open_group(1).error().code, EBUSY);
  set_bus_master(*device_);
  EXPECT_TRUE(writes_to(*device_, 0x100000, 1));
  device_ = nullptr;
  EXPECT_TRUE(bus_->open_group(1));
}

TEST_F(VfioGroupTest, TakingTheContainerAwayLeavesOpenDevicesAlone) {
  ASSERT_EQ(set_container(container_), 0);
  ASSERT_EQ(map_dma(memory(page), 0x100000), 0);
  ASSERT_EQ(device_of("0000:01:00.0", &device_), 0);
  ASSERT_EQ(on(*group_, VFIO_GROUP_UNSET_CONTAINER), 0);
  set_bus_master(*device_);
  EXPECT_TRUE(writes_to(*device_, 0x100000, 1));
}

TEST_F(VfioGroupTest, TheIoasOfTheContainerMayBeGone) {
  ASSERT_EQ(set_container(file_), 0);
  iommu_vfio_ioas given{.size = sizeof given, .ioas_id = 0, .op = IOMMU_VFIO_IOAS_GET, .__reserved = 0};
  ASSERT_EQ(call(IOMMU_VFIO_IOAS, given), 0);
  ASSERT_EQ(destroy(given.ioas_id), 0);
  EXPECT_EQ(device_of("0000:01:00.0"), -ENODEV);
  EXPECT_EQ(on(*group_, VFIO_GROUP_UNSET_CONTAINER), 0);
  ASSERT_EQ(set_container(file_), 0) << "and is made again";
  EXPECT_EQ(device_of("0000:01:00.0"), 0);
}

}  // namespace
}  // namespace swiommu::vfio
