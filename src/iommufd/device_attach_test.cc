#include "iommufd/device_group.h"
#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

using DeviceAttachTest = IommufdDeviceTest;
constexpr std::uint32_t pasid_flag = IOMMU_HWPT_ALLOC_PASID;

TEST_F(DeviceAttachTest, BindingGivesAnIdThatCannotBeDestroyed) {
  auto const device = bind(new_physical());
  EXPECT_EQ(device->id(), 1u);
  EXPECT_EQ(destroy(device->id()), EBUSY);
}

TEST_F(DeviceAttachTest, UnbindingGivesTheIdBack) {
  auto device = bind(new_physical());
  device = nullptr;
  EXPECT_EQ(destroy(1), ENOENT);
  EXPECT_EQ(new_ioas(), 1u);
}

TEST_F(DeviceAttachTest, WhatCannotBeBound) {
  auto const refuse = [&](int expected, Shape const& shape) {
    auto const result = BoundDevice::bind(file_, new_physical(shape));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, expected) << result.error().about;
  };
  refuse(EINVAL, {.capabilities = {.cache_coherent = false}});
  refuse(EPERM, {.capabilities = {.isolated_interrupts = false}});
  auto const [id, queue] = new_fault_queue();
  EXPECT_EQ(BoundDevice::bind(queue, new_physical()).error().code, EBADFD);
}

TEST_F(DeviceAttachTest, AGroupBelongsToOneFile) {
  auto const group = new_group().value();
  auto const one = new_physical({.group = group}), other = new_physical({.group = group});
  auto const second = engine_->open().value();
  auto bound = bind(one);
  EXPECT_EQ(BoundDevice::bind(second, other).error().code, EBUSY);
  EXPECT_TRUE(BoundDevice::bind(file_, other));
  bound = nullptr;
  EXPECT_TRUE(BoundDevice::bind(second, other));
}

TEST_F(DeviceAttachTest, ABoundDeviceKeepsTheFileOpen) {
  auto const physical = new_physical();
  auto device = bind(physical);
  std::uint32_t const space = new_ioas();
  ASSERT_EQ(attach(*device, space), 0);
  std::weak_ptr<OpenFile> const file = file_;
  file_ = nullptr;
  EXPECT_FALSE(file.expired());
  EXPECT_NE(physical->device()->domain(), nullptr);
  device = nullptr;
  EXPECT_TRUE(file.expired());
  EXPECT_EQ(physical->device()->domain(), nullptr);
}

TEST_F(DeviceAttachTest, AttachingAnIoasMakesAnAutomaticHwptThatGoesWithTheLastDevice) {
  auto const device = bind(new_physical()), other = bind(new_physical());
  std::uint32_t const space = new_ioas();
  std::uint32_t hwpt = 0, same = 0;
  ASSERT_EQ(attach(*device, space, &hwpt), 0);
  EXPECT_NE(hwpt, space);
  ASSERT_EQ(attach(*other, space, &same), 0);
  EXPECT_EQ(same, hwpt);
  EXPECT_EQ(destroy(space), EBUSY);
  EXPECT_EQ(destroy(hwpt), EBUSY);
  device->detach();
  EXPECT_TRUE(exists(hwpt));
  other->detach();
  EXPECT_FALSE(exists(hwpt));
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(DeviceAttachTest, DmaGoesThroughWhatIsAttached) {
  auto const physical = new_physical();
  auto const device = bind(physical);
  std::uint32_t const space = new_ioas();
  std::byte* const bytes = memory(page);
  bytes[5] = std::byte{42};
  ASSERT_EQ(map(space, bytes, page, 0x20000), 0);
  auto const port = physical->device()->open_port().value();
  std::byte read{};
  EXPECT_FALSE(port->read(Iova(0x20005), &read, 1).ok());
  ASSERT_EQ(attach(*device, space), 0);
  EXPECT_TRUE(port->read(Iova(0x20005), &read, 1).ok());
  EXPECT_EQ(read, std::byte{42});
  std::uint32_t const empty = new_ioas();
  ASSERT_EQ(replace(*device, empty), 0);
  EXPECT_FALSE(port->read(Iova(0x20005), &read, 1).ok());
  device->detach();
  EXPECT_FALSE(port->read(Iova(0x20005), &read, 1).ok());
}

TEST_F(DeviceAttachTest, WhatCannotBeAttached) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  auto const [queue, opened] = new_fault_queue();
  EXPECT_EQ(attach(*device, 100), ENOENT);
  EXPECT_EQ(attach(*device, queue), EINVAL);
  EXPECT_EQ(attach(*device, device->id()), EINVAL);
  EXPECT_EQ(replace(*device, space), EINVAL);
  ASSERT_EQ(attach(*device, space), 0);
  EXPECT_EQ(attach(*device, space), EBUSY);
  EXPECT_EQ(replace(*device, 100), ENOENT);
  EXPECT_EQ(replace(*device, queue), EINVAL);
}

TEST_F(DeviceAttachTest, DetachingWhatIsNotAttachedDoesNothing) {
  auto const device = bind(new_physical());
  device->detach();
  device->detach(7);
}

TEST_F(DeviceAttachTest, AHwptOfOtherHardwareDoesNotFit) {
  auto const device = bind(new_physical());
  auto const other = bind(new_physical({.driver = std::make_shared<TestDriver>("other hardware")}));
  std::uint32_t const space = new_ioas();
  std::uint32_t const hwpt = new_hwpt(*other, space);
  EXPECT_EQ(attach(*device, hwpt), EINVAL);
  std::uint32_t first = 0, second = 0;
  ASSERT_EQ(attach(*device, space, &first), 0);
  ASSERT_EQ(attach(*other, space, &second), 0);
  EXPECT_NE(first, second);  // the automatic one of the first does not fit either
}

TEST_F(DeviceAttachTest, ReplacingAnAutomaticHwptMakesTheNewOneFirst) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas(), other = new_ioas();
  std::uint32_t old = 0, hwpt = 0;
  ASSERT_EQ(attach(*device, space, &old), 0);
  ASSERT_EQ(replace(*device, other, &hwpt), 0);
  EXPECT_NE(hwpt, old);
  EXPECT_FALSE(exists(old));
  EXPECT_EQ(destroy(space), 0);
  std::uint32_t same = 0;
  ASSERT_EQ(replace(*device, hwpt, &same), 0);
  ASSERT_EQ(replace(*device, other, &same), 0);
  EXPECT_EQ(same, hwpt);
}

TEST_F(DeviceAttachTest, AutomaticHwptsThatSomebodyElseUsesStay) {
  auto const device = bind(new_physical()), other = bind(new_physical());
  std::uint32_t const space = new_ioas();
  std::uint32_t hwpt = 0;
  ASSERT_EQ(attach(*device, space, &hwpt), 0);
  ASSERT_EQ(attach(*other, hwpt), 0);
  device->detach();
  EXPECT_TRUE(exists(hwpt));
  other->detach();
  EXPECT_FALSE(exists(hwpt));
}

TEST_F(DeviceAttachTest, HwptsThatWereMadeByHandAreNeverPicked) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  std::uint32_t const made = new_hwpt(*device, space);
  std::uint32_t hwpt = 0;
  ASSERT_EQ(attach(*device, space, &hwpt), 0);
  EXPECT_NE(hwpt, made);
  device->detach();
  EXPECT_TRUE(exists(made));
}

TEST_F(DeviceAttachTest, MemoryThatCannotBePinnedFailsTheAttachAndChangesNothing) {
  auto const physical = new_physical();
  auto const device = bind(physical);
  std::uint32_t const space = new_ioas();
  ASSERT_EQ(map(space, std::bit_cast<void*>(std::uint64_t{1} << 40), page, 0x20000), 0);
  EXPECT_EQ(attach(*device, space), EFAULT);
  EXPECT_EQ(physical->device()->domain(), nullptr);
  EXPECT_EQ(ioas(space)->space().alignment().value(), 1u);
  EXPECT_EQ(ioas(space)->space().iova_ranges().value().size(), 1u);
  EXPECT_TRUE(ioas(space)->hwpts().empty());
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(DeviceAttachTest, DevicesReserveIovasWhereTheyAreAttachedThemselves) {
  Range const doorbell{0xfee00000, 0xfeefffff}, relaxable{0x40000000, 0x40000fff};
  auto const device = bind(new_physical(
      {.reserved = {{doorbell, ReservedIovas::Kind::hardware_msi}, {relaxable, ReservedIovas::Kind::direct_relaxable}}}));
  std::uint32_t const space = new_ioas(), other = new_ioas();
  auto const usable = [&](std::uint32_t id) { return ioas(id)->space().iova_ranges().value(); };
  ASSERT_EQ(attach(*device, space), 0);
  std::vector<Range> const expected{{TestDriver::aperture.start, doorbell.start - 1}, {doorbell.last + 1, low_bits(48)}};
  EXPECT_EQ(usable(space), expected);
  ASSERT_EQ(replace(*device, other), 0);
  EXPECT_EQ(usable(space), std::vector<Range>{Range::all()});
  EXPECT_EQ(usable(other), expected);
  device->detach();
  EXPECT_EQ(usable(other), std::vector<Range>{Range::all()});
  std::uint32_t const hwpt = new_hwpt(*device, space, pasid_flag);
  ASSERT_EQ(attach(*device, hwpt, nullptr, 5), 0);
  EXPECT_EQ(usable(space).size(), 1u);
}

TEST_F(DeviceAttachTest, IovasThatAreMappedCannotBeReserved) {
  auto const physical = new_physical({.reserved = {{{0x20000, 0x20fff}}}});
  auto const device = bind(physical);
  std::uint32_t const space = new_ioas(), empty = new_ioas();
  ASSERT_EQ(map(space, memory(page), page, 0x20000), 0);
  EXPECT_EQ(attach(*device, space), EADDRINUSE);
  EXPECT_EQ(physical->device()->domain(), nullptr);
  std::uint32_t hwpt = 0;
  ASSERT_EQ(attach(*device, empty, &hwpt), 0);
  auto const domain = physical->device()->domain();
  EXPECT_EQ(replace(*device, space), EADDRINUSE);
  EXPECT_EQ(physical->device()->domain(), domain);
  EXPECT_TRUE(exists(hwpt));
  EXPECT_EQ(ioas(space)->space().iova_ranges().value(), std::vector<Range>{Range::all()});
}

TEST_F(DeviceAttachTest, TheDevicesOfAGroupFollowTheFirstOne) {
  auto const group = new_group().value();
  Range const region{0x20000, 0x20fff};
  auto const one = new_physical({.group = group}), two = new_physical({.reserved = {{region}}, .group = group});
  auto const first = bind(one), second = bind(two);
  std::uint32_t const space = new_ioas(), other = new_ioas();
  std::uint32_t hwpt = 0;
  ASSERT_EQ(attach(*first, space, &hwpt), 0);
  EXPECT_EQ(two->device()->domain(), one->device()->domain());
  EXPECT_EQ(attach(*second, other), EINVAL);
  EXPECT_EQ(replace(*second, other), EINVAL);
  EXPECT_EQ(ioas(space)->space().iova_ranges().value().size(), 1u);
  ASSERT_EQ(attach(*second, hwpt), 0);
  EXPECT_EQ(ioas(space)->space().iova_ranges().value().size(), 2u);
  std::uint32_t replaced = 0;
  ASSERT_EQ(replace(*first, other, &replaced), 0);
  EXPECT_EQ(two->device()->domain(), object<HwptPaging>(replaced)->domain());
  EXPECT_FALSE(exists(hwpt));
  EXPECT_EQ(ioas(other)->space().iova_ranges().value().size(), 2u);
  EXPECT_EQ(ioas(space)->space().iova_ranges().value().size(), 1u);
  first->detach();
  EXPECT_NE(one->device()->domain(), nullptr);  // the second one is there still
  second->detach();
  EXPECT_EQ(one->device()->domain(), nullptr);
  EXPECT_EQ(two->device()->domain(), nullptr);
  EXPECT_FALSE(exists(replaced));
}

TEST_F(DeviceAttachTest, AGroupIsAttachedWholeOrNotAtAll) {
  auto const group = new_group().value();
  auto const one = new_physical({.group = group}), two = new_physical({.group = group});
  auto const first = bind(one);
  std::uint32_t const space = new_ioas(), other = new_ioas();
  driver_->failures = 2;
  EXPECT_EQ(attach(*first, space), ENOMEM);
  EXPECT_EQ(driver_->withdrawn, 1);
  EXPECT_EQ(one->device()->domain(), nullptr);
  EXPECT_TRUE(group->attaches().empty());
  ASSERT_EQ(attach(*first, space), 0);
  auto const domain = one->device()->domain();
  driver_->failures = 2;
  EXPECT_EQ(replace(*first, other), ENOMEM);
  EXPECT_EQ(driver_->withdrawn, 2);
  EXPECT_EQ(one->device()->domain(), domain);
  EXPECT_EQ(two->device()->domain(), domain);
}

TEST_F(DeviceAttachTest, WhichHwptsGoTogetherWithPasids) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  std::uint32_t const plain = new_hwpt(*device, space), compatible = new_hwpt(*device, space, pasid_flag),
                      another = new_hwpt(*device, space, pasid_flag);
  EXPECT_EQ(attach(*device, plain, nullptr, 3), EINVAL);
  EXPECT_EQ(attach(*device, space, nullptr, 3), EINVAL);  // an automatic one has no PASIDs
  EXPECT_TRUE(ioas(space)->hwpts().size() == 3);
  ASSERT_EQ(attach(*device, plain), 0);
  EXPECT_EQ(attach(*device, compatible, nullptr, 3), EINVAL);
  ASSERT_EQ(replace(*device, compatible), 0);
  ASSERT_EQ(attach(*device, compatible, nullptr, 3), 0);
  EXPECT_EQ(attach(*device, another, nullptr, 3), EBUSY);
  EXPECT_EQ(replace(*device, plain), EINVAL);
  EXPECT_EQ(replace(*device, space), EINVAL);
  EXPECT_EQ(replace(*device, another, nullptr, 4), EINVAL);
  EXPECT_EQ(replace(*device, plain, nullptr, 3), EINVAL);
  ASSERT_EQ(replace(*device, another, nullptr, 3), 0);
  ASSERT_EQ(replace(*device, another), 0);
  device->detach();
  EXPECT_EQ(attach(*device, plain), EINVAL);
  device->detach(3);
  ASSERT_EQ(attach(*device, plain), 0);
}

TEST_F(DeviceAttachTest, WhichPasidsThereAre) {
  auto const physical = new_physical({.pasid_bits = 4});
  auto const device = bind(physical), none = bind(new_physical({.pasid_bits = 0}));
  auto const incapable = bind(new_physical({.capabilities = {.set_pasid = false}}));
  std::uint32_t const hwpt = new_hwpt(*device, new_ioas(), pasid_flag);
  EXPECT_EQ(attach(*device, hwpt, nullptr, 16), EINVAL);
  EXPECT_EQ(attach(*none, hwpt, nullptr, 1), EINVAL);
  EXPECT_EQ(attach(*incapable, hwpt, nullptr, 1), EOPNOTSUPP);
  ASSERT_EQ(attach(*device, hwpt, nullptr, 15), 0);
  EXPECT_EQ(physical->device()->domain(15), object<HwptPaging>(hwpt)->domain());
  EXPECT_EQ(physical->device()->domain(), nullptr);
  EXPECT_EQ(destroy(hwpt), EBUSY);
  device->detach(15);
  EXPECT_EQ(physical->device()->domain(15), nullptr);
  EXPECT_EQ(destroy(hwpt), 0);
}

TEST_F(DeviceAttachTest, PasidZeroIsTheDeviceItself) {
  auto const physical = new_physical();
  auto const device = bind(physical);
  std::uint32_t const hwpt = new_hwpt(*device, new_ioas(), pasid_flag);
  ASSERT_EQ(attach(*device, hwpt, nullptr, 0), 0);
  EXPECT_NE(physical->device()->domain(), nullptr);
  EXPECT_EQ(attach(*device, hwpt), EBUSY);
}

TEST_F(DeviceAttachTest, ADriverThatFailsLeavesWhatWasThere) {
  auto const physical = new_physical();
  auto const device = bind(physical);
  std::uint32_t const space = new_ioas();
  std::uint32_t const old = new_hwpt(*device, space, pasid_flag), hwpt = new_hwpt(*device, space, pasid_flag);
  ASSERT_EQ(attach(*device, old, nullptr, 9), 0);
  driver_->failures = 1;
  EXPECT_EQ(replace(*device, hwpt, nullptr, 9), ENOMEM);
  EXPECT_EQ(physical->device()->domain(9), object<HwptPaging>(old)->domain());
  EXPECT_EQ(destroy(old), EBUSY);
  EXPECT_EQ(destroy(hwpt), 0);
}

TEST_F(DeviceAttachTest, ADeviceWithoutDirtyFlagsIsNotAttachedToAHwptThatTracks) {
  auto const device = bind(new_physical());
  auto const other = bind(new_physical({.capabilities = {.dirty_tracking = false}}));
  std::uint32_t const hwpt = new_hwpt(*device, new_ioas(), IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
  EXPECT_EQ(attach(*other, hwpt), EINVAL);
  EXPECT_EQ(attach(*device, hwpt), 0);
}

TEST_F(DeviceAttachTest, PageRequestsOfVirtualFunctionsGoToNoFaultQueue) {
  auto const [queue, opened] = new_fault_queue();
  auto const device = bind(new_physical({.capabilities = {.page_requests = true, .virtual_function = true}}));
  auto arguments = hwpt_of(device->id(), new_ioas(), IOMMU_HWPT_FAULT_ID_VALID);
  arguments.fault_id = queue;
  ASSERT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0);
  EXPECT_EQ(attach(*device, arguments.out_hwpt_id), EINVAL);
  auto const physical = bind(new_physical({.capabilities = {.page_requests = true}}));
  EXPECT_EQ(attach(*physical, arguments.out_hwpt_id), 0);
}

TEST_F(DeviceAttachTest, UnbindingDetachesEverything) {
  auto const physical = new_physical();
  auto device = bind(physical);
  std::uint32_t const space = new_ioas();
  std::uint32_t const hwpt = new_hwpt(*device, space, pasid_flag);
  ASSERT_EQ(attach(*device, hwpt), 0);
  ASSERT_EQ(attach(*device, hwpt, nullptr, 1), 0);
  ASSERT_EQ(attach(*device, hwpt, nullptr, 2), 0);
  device = nullptr;
  EXPECT_EQ(physical->device()->domain(), nullptr);
  EXPECT_EQ(physical->device()->domain(2), nullptr);
  EXPECT_EQ(destroy(hwpt), 0);
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(DeviceAttachTest, ANestedHwptReservesInTheIoasOfItsParent) {
  auto const device = bind(new_physical({.reserved = {{{0x20000, 0x20fff}}}}));
  std::uint32_t const space = new_ioas();
  std::uint32_t const parent = new_hwpt(*device, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  std::uint32_t const nested = new_nested(*device, parent);
  ASSERT_EQ(attach(*device, nested), 0);
  EXPECT_EQ(ioas(space)->space().iova_ranges().value().size(), 2u);
  EXPECT_EQ(destroy(nested), EBUSY);
  EXPECT_EQ(destroy(parent), EBUSY);
  ASSERT_EQ(replace(*device, parent), 0);
  EXPECT_EQ(ioas(space)->space().iova_ranges().value().size(), 2u);
  EXPECT_EQ(destroy(nested), 0);
}

}  // namespace
}  // namespace swiommu::iommufd
