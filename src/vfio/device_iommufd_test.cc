#include "vfio/vfio_fixture.h"

namespace swiommu::vfio {
namespace {

class VfioIommufdTest : public VfioTest {
 protected:
  VfioIommufdTest() { data_ = memory(4 * page); }
  std::uint32_t mapped_ioas(std::uint64_t iova) {
    std::uint32_t const id = new_ioas();
    EXPECT_EQ(map(id, data_, page, iova), 0) << words_;
    return id;
  }
  std::uint64_t word() {
    std::uint64_t value = 0;
    std::memcpy(&value, data_, sizeof value);
    return value;
  }
  std::shared_ptr<iommufd::OpenFile> cdev(unsigned number = 0) { return bus_->open_device(number).value(); }

  std::byte* data_ = nullptr;
};

TEST_F(VfioIommufdTest, NothingWorksBeforeBinding) {
  auto const device = cdev(plug()->number);
  std::array<std::uint32_t, 8> argument{32};
  for (std::uint32_t request = 0x3b64; request < 0x3b80; request++) {
    if (request == VFIO_DEVICE_BIND_IOMMUFD) continue;
    EXPECT_EQ(on(*device, request, &argument), -EINVAL) << request;
  }
  std::uint32_t value = 0;
  EXPECT_EQ(get(*device, region_offset(7), value).error().code, EINVAL);
  EXPECT_EQ(put(*device, region_offset(7), value).error().code, EINVAL);
  EXPECT_EQ(device->map(0, page, PROT_READ, MAP_SHARED).error().code, EINVAL);
}

TEST_F(VfioIommufdTest, BindFindsWhatIsWrongInLinuxOrder) {
  auto const device = cdev(plug()->number);
  int const iommufd = descriptor_of(file_);
  EXPECT_EQ(on(*device, VFIO_DEVICE_BIND_IOMMUFD), -EFAULT);
  struct {
    vfio_device_bind_iommufd bind;
    std::uint32_t more[2];
  } given{};
  given.bind.iommufd = iommufd;
  given.bind.argsz = 15;
  EXPECT_EQ(on(*device, VFIO_DEVICE_BIND_IOMMUFD, &given), -EINVAL);
  given.bind.argsz = sizeof given;
  given.more[1] = 1;
  EXPECT_EQ(on(*device, VFIO_DEVICE_BIND_IOMMUFD, &given), -E2BIG);
  EXPECT_EQ(bind_with(*device, -1), -EINVAL);
  EXPECT_EQ(bind_with(*device, iommufd, 2), -EINVAL);
  EXPECT_EQ(bind_with(*device, iommufd, VFIO_DEVICE_BIND_FLAG_TOKEN), -EINVAL) << "no virtual functions";
  EXPECT_EQ(bind_with(*device, 123456), -EBADF);
  EXPECT_EQ(bind_with(*device, new_event()), -EBADFD);
  EXPECT_EQ(bind_with(*device, descriptor_of(device)), -EBADFD);
  given.more[1] = 0;
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(on(*device, VFIO_DEVICE_BIND_IOMMUFD, &given), -EFAULT);
  caller_.memory_is_unwritable = false;
  given.bind.argsz = 16;
  given.bind.token_uuid_ptr = 7;
  ASSERT_EQ(on(*device, VFIO_DEVICE_BIND_IOMMUFD, &given), 0) << "the oldest form";
  EXPECT_NE(given.bind.out_devid, 0u);
  EXPECT_EQ(bind(*device), -EINVAL) << "twice";
}

TEST_F(VfioIommufdTest, OneFileOfADeviceIsBound) {
  auto first = cdev(plug()->number);
  auto const second = cdev();
  ASSERT_EQ(bind(*first), 0);
  EXPECT_EQ(bind(*second), -EINVAL);
  first = nullptr;
  EXPECT_EQ(bind(*second), 0);
}

TEST_F(VfioIommufdTest, TheIdIsThatOfAnObject) {
  auto const device = new_device();
  iommu_hw_info info{};
  info.size = sizeof info;
  info.dev_id = device_id_;
  EXPECT_EQ(call(IOMMU_GET_HW_INFO, info), 0) << words_;
  EXPECT_EQ(info.out_data_type, std::uint32_t{IOMMU_HW_INFO_TYPE_INTEL_VTD});
  EXPECT_EQ(destroy(device_id_), EBUSY);
}

TEST_F(VfioIommufdTest, DmaGoesWhereItIsAttached) {
  auto const device = new_device();
  std::uint32_t const one = mapped_ioas(0x100000), other = mapped_ioas(0x200000);
  set_bus_master(*device);
  EXPECT_FALSE(writes_to(*device, 0x100000, 1)) << "nothing is attached";
  ASSERT_EQ(attach(*device, one), 0) << words_;
  EXPECT_NE(hwpt_id_, one) << "the HWPT that was made";
  EXPECT_TRUE(writes_to(*device, 0x100000, 0x1111));
  EXPECT_EQ(word(), 0x1111u);
  ASSERT_EQ(attach(*device, other), 0) << "the second time it is a replacement";
  EXPECT_FALSE(writes_to(*device, 0x100000, 1));
  EXPECT_TRUE(writes_to(*device, 0x200000, 0x2222));
  EXPECT_EQ(word(), 0x2222u);
  EXPECT_FALSE(writes_to(*device, 0xfee00000, 1)) << "a message, not memory";
  ASSERT_EQ(detach(*device), 0);
  EXPECT_FALSE(writes_to(*device, 0x200000, 1));
  EXPECT_EQ(detach(*device), 0) << "nothing is attached";
  ASSERT_EQ(attach(*device, one), 0);
  set_bus_master(*device, false);
  EXPECT_FALSE(writes_to(*device, 0x100000, 1)) << "it masters no bus";
  EXPECT_EQ(word(), 0x2222u);
}

TEST_F(VfioIommufdTest, AttachAndDetachFindWhatIsWrong) {
  auto const device = new_device();
  std::uint32_t const id = mapped_ioas(0);
  EXPECT_EQ(on(*device, VFIO_DEVICE_ATTACH_IOMMUFD_PT), -EFAULT);
  vfio_device_attach_iommufd_pt given{11, 0, id, 0};
  EXPECT_EQ(on(*device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &given), -EINVAL);
  given = {12, 2, id, 0};
  EXPECT_EQ(on(*device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &given), -EINVAL);
  given = {12, VFIO_DEVICE_ATTACH_PASID, id, 0};
  EXPECT_EQ(on(*device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &given), -EINVAL) << "no room for the PASID";
  EXPECT_EQ(attach(*device, 1000), -ENOENT);
  EXPECT_EQ(attach(*device, device_id_), -EINVAL);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(attach(*device, id), -EFAULT);
  caller_.memory_is_unwritable = false;
  set_bus_master(*device);
  EXPECT_FALSE(writes_to(*device, 0, 1)) << "it was taken back";
  given = {12, 0, id, 0};
  EXPECT_EQ(on(*device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &given), 0);
  vfio_device_detach_iommufd_pt wrong{7, 0, 0};
  EXPECT_EQ(on(*device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &wrong), -EINVAL);
  wrong = {8, 2, 0};
  EXPECT_EQ(on(*device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &wrong), -EINVAL);
  wrong = {8, VFIO_DEVICE_DETACH_PASID, 0};
  EXPECT_EQ(on(*device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &wrong), -EINVAL);
}

TEST_F(VfioIommufdTest, PasidsAreAttachedReplacedAndDetached) {
  auto const device = new_device(ToyModel::usual(), {.address = {}, .group = {}, .pasid_bits = 8});
  std::uint32_t const ioas = mapped_ioas(0x100000);
  auto const new_hwpt = [&] {
    iommu_hwpt_alloc alloc{};
    alloc.size = sizeof alloc;
    alloc.flags = IOMMU_HWPT_ALLOC_PASID;
    alloc.dev_id = device_id_;
    alloc.pt_id = ioas;
    EXPECT_EQ(call(IOMMU_HWPT_ALLOC, alloc), 0) << words_;
    return alloc.out_hwpt_id;
  };
  std::uint32_t const one = new_hwpt(), other = new_hwpt();
  EXPECT_EQ(attach(*device, ioas, 5), -EINVAL) << "the HWPT of an IOAS is not for PASIDs";
  ASSERT_EQ(attach(*device, one, 5), 0) << words_;
  EXPECT_EQ(hwpt_id_, one);
  EXPECT_EQ(destroy(one), EBUSY);
  ASSERT_EQ(attach(*device, other, 5), 0) << words_;
  EXPECT_EQ(destroy(one), 0);
  EXPECT_EQ(attach(*device, other, 256), -EINVAL) << "too large";
  EXPECT_EQ(detach(*device, 256), 0);
  ASSERT_EQ(detach(*device, 5), 0);
  EXPECT_EQ(detach(*device, 5), 0);
  EXPECT_EQ(destroy(other), 0);
}

TEST_F(VfioIommufdTest, ClosingDetachesUnbindsAndResets) {
  auto device = new_device();
  std::uint32_t const ioas = mapped_ioas(0x100000), id = device_id_;
  ASSERT_EQ(attach(*device, ioas), 0);
  int const event = new_event();
  ASSERT_EQ(set_events<1>(*device, VFIO_PCI_MSIX_IRQ_INDEX, 0, {event}), 0);
  set_bus_master(*device);
  aim(*device, 0x100000, 3);
  command(*device, ToyModel::write_always);
  ASSERT_TRUE(comes(event));
  EXPECT_EQ(destroy(ioas), EBUSY);
  int const before = log_->resets;
  device = nullptr;
  EXPECT_EQ(log_->resets, before + 1);
  EXPECT_FALSE(log_->masters.back());
  auto const writes = log_->writes.load();
  EXPECT_EQ(log_->faults, 0u) << "no DMA once it was detached";
  EXPECT_EQ(destroy(id), ENOENT);
  EXPECT_EQ(destroy(ioas), 0);
  EXPECT_EQ(log_->writes, writes);
  device = cdev();
  ASSERT_EQ(bind(*device), 0);
  EXPECT_EQ(config<std::uint16_t>(*device, 4), 2u) << "as a new opener finds it";
  command(*device, ToyModel::message);
  EXPECT_EQ(set_irqs(*device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1), -EINVAL);
}

TEST_F(VfioIommufdTest, TheIommufdMayBeClosedFirst) {
  auto device = new_device();
  ASSERT_EQ(attach(*device, mapped_ioas(0x100000)), 0);
  set_bus_master(*device);
  caller_.files().clear();
  std::weak_ptr<iommufd::OpenFile> const iommufd = std::exchange(file_, nullptr);
  EXPECT_FALSE(iommufd.expired()) << "the device keeps it";
  EXPECT_TRUE(writes_to(*device, 0x100000, 4));
  device = nullptr;
  EXPECT_TRUE(iommufd.expired());
}

TEST_F(VfioIommufdTest, TheBusMayGoFirst) {
  auto device = new_device();
  ASSERT_EQ(attach(*device, mapped_ioas(0x100000)), 0);
  set_bus_master(*device);
  bus_ = nullptr;
  EXPECT_TRUE(writes_to(*device, 0x100000, 4));
  EXPECT_EQ(log_->living, 1);
  device = nullptr;
  caller_.files().clear();
  EXPECT_EQ(log_->living, 0);
}

TEST_F(VfioIommufdTest, DevicesOfOneGroupShareAnIommufdAndWhatTheyAreAttachedTo) {
  ASSERT_TRUE(plug(ToyModel::usual(), {.address = {}, .group = 5}));
  ASSERT_TRUE(plug(ToyModel::usual(), {.address = {}, .group = 5}));
  auto const one = cdev(0), two = cdev(1);
  auto const other_iommufd = engine_->open().value();
  ASSERT_EQ(bind(*one), 0);
  EXPECT_EQ(bind_with(*two, descriptor_of(other_iommufd)), -EBUSY);
  ASSERT_EQ(bind(*two), 0);
  std::uint32_t const ioas = mapped_ioas(0x100000);
  ASSERT_EQ(attach(*one, ioas), 0);
  EXPECT_EQ(attach(*two, mapped_ioas(0x200000)), -EINVAL);
  EXPECT_EQ(attach(*two, ioas), 0);
}

}  // namespace
}  // namespace swiommu::vfio
