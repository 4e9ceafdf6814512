#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

using HwptCommandsTest = IommufdDeviceTest;

TEST_F(HwptCommandsTest, AllocChecksItsArgumentsInLinuxOrder) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  auto arguments = hwpt_of(device->id(), space);
  arguments.__reserved = 1;
  arguments.data_len = 4;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EOPNOTSUPP);
  arguments.__reserved = 0;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EINVAL);  // data of no type
  arguments.data_len = 0;
  arguments.data_type = test_hwpt_type;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EINVAL);  // a type without data
  arguments.data_type = 0;
  arguments.dev_id = space;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), ENOENT);
  arguments.dev_id = 100;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), ENOENT);
  arguments.dev_id = device->id();
  arguments.pt_id = 100;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EINVAL);  // not ENOENT
  arguments.pt_id = device->id();
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EINVAL);
  arguments.pt_id = space;
  arguments.__reserved2 = 1;  // nobody looks
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0);
}

TEST_F(HwptCommandsTest, TheFirstFieldsSuffice) {
  auto const device = bind(new_physical());
  auto arguments = hwpt_of(device->id(), new_ioas());
  arguments.data_type = 7;  // beyond what is said to be there
  arguments.size = 24;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
  EXPECT_NE(arguments.out_hwpt_id, 0u);
  arguments.size = 23;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EINVAL);
}

TEST_F(HwptCommandsTest, PagingFlags) {
  auto const device = bind(new_physical()), plain = bind(new_physical({.capabilities = {}}));
  std::uint32_t const space = new_ioas();
  auto const flags = [&](std::uint32_t value, BoundDevice const& on) {
    auto arguments = hwpt_of(on.id(), space, value);
    arguments.fault_id = 100;
    return call(IOMMU_HWPT_ALLOC, arguments);
  };
  EXPECT_EQ(flags(1 << 4, *device), EOPNOTSUPP);
  EXPECT_EQ(flags(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, *plain), EOPNOTSUPP);
  EXPECT_EQ(flags(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, *device), 0);
  EXPECT_EQ(flags(IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_NEST_PARENT, *device), EOPNOTSUPP);
  EXPECT_EQ(flags(TestDriver::unknown_combination, *device), EOPNOTSUPP);
  EXPECT_EQ(flags(IOMMU_HWPT_FAULT_ID_VALID, *device), ENOENT);
  EXPECT_EQ(ioas(space)->hwpts().size(), 1u);
}

TEST_F(HwptCommandsTest, APagingHwptMapsWhatTheIoasHas) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  std::byte* const bytes = memory(2 * page);
  ASSERT_EQ(map(space, bytes, page, 0x20000), 0);
  auto const domain = object<HwptPaging>(new_hwpt(*device, space))->domain();
  ASSERT_EQ(map(space, bytes + page, page, 0x30000), 0);
  EXPECT_TRUE(domain->translate(0x20000, Access::both(), Update::no).ok());
  EXPECT_TRUE(domain->translate(0x30000, Access::both(), Update::no).ok());
  ASSERT_EQ(unmap(space, 0x20000, page), 0);
  EXPECT_FALSE(domain->translate(0x20000, Access::both(), Update::no).ok());
}

TEST_F(HwptCommandsTest, MemoryThatIsNotThereFailsAlloc) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  ASSERT_EQ(map(space, std::bit_cast<void*>(std::uint64_t{1} << 40), page, 0x20000), 0);
  auto arguments = hwpt_of(device->id(), space);
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EFAULT);
  EXPECT_TRUE(ioas(space)->hwpts().empty());
  ASSERT_EQ(map(space, memory(page), page, 0x1000), 0);  // below the aperture
  ASSERT_EQ(unmap(space, 0x20000, page), 0);
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EADDRINUSE);
  ASSERT_EQ(unmap(space, 0x1000, page), 0);
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0);
}

TEST_F(HwptCommandsTest, NothingIsMadeIfTheIdCannotBeTold) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  auto arguments = hwpt_of(device->id(), space);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EFAULT);
  caller_.memory_is_unwritable = false;
  EXPECT_TRUE(ioas(space)->hwpts().empty());
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(HwptCommandsTest, NestedFlagsDataAndParents) {
  auto const device = bind(new_physical());
  auto const other = bind(new_physical({.driver = std::make_shared<TestDriver>("other hardware")}));
  std::uint32_t const space = new_ioas();
  std::uint32_t const parent = new_hwpt(*device, space, IOMMU_HWPT_ALLOC_NEST_PARENT), plain = new_hwpt(*device, space);
  TestHwptData const data{.root = 0x100000, .reserved = 0};
  auto const alloc = [&](std::uint32_t dev, std::uint32_t pt, std::uint32_t flags = 0) {
    auto arguments = nested_of(dev, pt, data, flags);
    return call(IOMMU_HWPT_ALLOC, arguments);
  };
  EXPECT_EQ(alloc(device->id(), parent, IOMMU_HWPT_ALLOC_NEST_PARENT), EOPNOTSUPP);
  EXPECT_EQ(alloc(device->id(), parent, IOMMU_HWPT_ALLOC_DIRTY_TRACKING), EOPNOTSUPP);
  EXPECT_EQ(alloc(device->id(), plain), EINVAL);
  EXPECT_EQ(alloc(other->id(), parent), EINVAL);
  auto without = hwpt_of(device->id(), parent);
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, without), EOPNOTSUPP);  // no data
  driver_->can_nest = false;
  EXPECT_EQ(alloc(device->id(), plain), EOPNOTSUPP);  // before the parent is looked at
  driver_->can_nest = true;
  std::uint32_t const nested = new_nested(*device, parent);
  EXPECT_EQ(alloc(device->id(), nested), EINVAL);  // nothing stands on a nested one
  std::uint32_t automatic = 0;
  ASSERT_EQ(attach(*device, space, &automatic), 0);
  EXPECT_EQ(alloc(device->id(), automatic), EINVAL);
  EXPECT_EQ(destroy(parent), EBUSY);
  EXPECT_EQ(destroy(nested), 0);
  EXPECT_EQ(destroy(parent), 0);
}

TEST_F(HwptCommandsTest, DataOfNestedHwpts) {
  auto const device = bind(new_physical());
  std::uint32_t const parent = new_hwpt(*device, new_ioas(), IOMMU_HWPT_ALLOC_NEST_PARENT);
  TestHwptData const data{.root = 0x100000, .reserved = 0};
  auto const with = [&](std::uint32_t type, std::uint32_t length, std::uint64_t address) {
    auto arguments = nested_of(device->id(), parent, data);
    arguments.data_type = type;
    arguments.data_len = length;
    arguments.data_uptr = address;
    return call(IOMMU_HWPT_ALLOC, arguments);
  };
  auto const address = std::bit_cast<std::uint64_t>(&data);
  EXPECT_EQ(with(test_hwpt_type + 1, sizeof data, address), EOPNOTSUPP);
  EXPECT_EQ(with(test_hwpt_type, 7, address), EINVAL);
  EXPECT_EQ(with(test_hwpt_type, sizeof data + 1, address), EINVAL);  // not E2BIG
  EXPECT_EQ(with(test_hwpt_type, 8, 0), EFAULT);
  EXPECT_EQ(with(test_hwpt_type, 8, address), 0);
}

TEST_F(HwptCommandsTest, AHwptUsesItsFaultQueue) {
  auto const device = bind(new_physical());
  std::uint32_t const space = new_ioas();
  auto [queue, opened] = new_fault_queue();
  auto arguments = hwpt_of(device->id(), space, IOMMU_HWPT_FAULT_ID_VALID);
  arguments.fault_id = space;
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), ENOENT);
  arguments.fault_id = queue;
  ASSERT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0);
  opened = nullptr;
  EXPECT_EQ(destroy(queue), EBUSY);
  EXPECT_EQ(destroy(arguments.out_hwpt_id), 0);
  EXPECT_EQ(destroy(queue), 0);
}

class HwptCommandsInvalidateTest : public IommufdDeviceTest {
 protected:
  void SetUp() override {
    device_ = bind(new_physical());
    parent_ = new_hwpt(*device_, new_ioas(), IOMMU_HWPT_ALLOC_NEST_PARENT);
    nested_ = new_nested(*device_, parent_);
  }
  void TearDown() override {
    device_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  std::vector<std::uint32_t> const& seen() { return static_cast<TestNested&>(object<HwptNested>(nested_)->nested()).values; }

  std::unique_ptr<BoundDevice> device_;
  std::uint32_t parent_ = 0, nested_ = 0;
};

TEST_F(HwptCommandsInvalidateTest, ChecksItsArgumentsAndAlwaysTellsHowManyAreDone) {
  std::array<TestInvalidation, 2> const entries{{{1, 0}, {2, 0}}};
  auto const good = invalidation_of(nested_, entries);
  auto const refuse = [&](int expected, auto change) {
    auto arguments = good;
    change(arguments);
    EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), expected) << words_;
    EXPECT_EQ(arguments.entry_num, 0u);
  };
  refuse(EOPNOTSUPP, [](auto& a) { a.__reserved = 1, a.entry_len = 0; });
  refuse(EINVAL, [](auto& a) { a.data_uptr = 0; });
  refuse(EINVAL, [](auto& a) { a.entry_len = 0; });
  refuse(EINVAL, [](auto& a) { a.entry_len = 4097; });
  refuse(EINVAL, [](auto& a) { a.entry_num = (1 << 19) + 1; });
  refuse(ENOENT, [](auto& a) { a.hwpt_id = 100; });
  refuse(EINVAL, [&](auto& a) { a.hwpt_id = parent_; });
  refuse(EINVAL, [](auto& a) { a.data_type++; });
  refuse(EINVAL, [](auto& a) { a.entry_len = 3; });
  refuse(EINVAL, [](auto& a) { a.entry_len = sizeof(TestInvalidation) + 1; });
  refuse(EFAULT, [](auto& a) { a.data_uptr = 16; });
  EXPECT_TRUE(seen().empty());
  auto arguments = good;
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), 0);
  EXPECT_EQ(arguments.entry_num, 2u);
  EXPECT_EQ(seen(), (std::vector<std::uint32_t>{1, 2}));
}

TEST_F(HwptCommandsInvalidateTest, StopsAtTheFirstEntryThatFails) {
  std::array<TestInvalidation, 3> const entries{{{1, 0}, {2, EOPNOTSUPP}, {3, 0}}};
  auto arguments = invalidation_of(nested_, entries);
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), EOPNOTSUPP);
  EXPECT_EQ(arguments.entry_num, 1u);
  EXPECT_EQ(seen(), (std::vector<std::uint32_t>{1}));
}

TEST_F(HwptCommandsInvalidateTest, NoEntriesAskForTheType) {
  auto arguments = invalidation_of(nested_, std::vector<TestInvalidation>());
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), 0);
  arguments.data_type++;
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), EINVAL);
}

TEST_F(HwptCommandsInvalidateTest, WhatCannotBeWrittenBackIsAFault) {
  std::array<TestInvalidation, 1> const entries{{{1, 0}}};
  auto arguments = invalidation_of(nested_, entries);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), EFAULT);
  arguments.hwpt_id = 100;
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), EFAULT);
  EXPECT_EQ(seen().size(), 1u);
}

TEST_F(HwptCommandsInvalidateTest, HardwareWithoutInvalidation) {
  static_cast<TestNested&>(object<HwptNested>(nested_)->nested()).can_invalidate = false;
  std::array<TestInvalidation, 1> const entries{{{1, 0}}};
  auto arguments = invalidation_of(nested_, entries);
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), EOPNOTSUPP);
}

TEST_F(HwptCommandsInvalidateTest, ViommusAreInvalidatedAsWell) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  std::array<TestInvalidation, 2> const entries{{{5, 0}, {6, EIO}}};
  auto arguments = invalidation_of(viommu, entries);
  EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), EIO);
  EXPECT_EQ(arguments.entry_num, 1u);
  EXPECT_EQ(static_cast<TestViommu&>(object<Viommu>(viommu)->half()).values, (std::vector<std::uint32_t>{5}));
}

class HwptCommandsInformationTest : public IommufdDeviceTest {
 protected:
  static iommu_hw_info of(std::uint32_t device, std::span<std::byte> room) {
    iommu_hw_info arguments{};
    arguments.size = sizeof arguments;
    arguments.dev_id = device;
    arguments.data_len = static_cast<std::uint32_t>(room.size());
    arguments.data_uptr = std::bit_cast<std::uint64_t>(room.data());
    return arguments;
  }
};

TEST_F(HwptCommandsInformationTest, GivesAsMuchAsThereIsRoomForAndZerosTheRest) {
  auto const device = bind(new_physical());
  std::array<std::byte, 8> room;
  room.fill(std::byte{0xee});
  auto arguments = of(device->id(), std::span(room).first(2));
  ASSERT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
  EXPECT_EQ(arguments.data_len, 4u);
  EXPECT_EQ(arguments.out_data_type, test_information_type);
  EXPECT_EQ(room[1], std::byte{2});
  EXPECT_EQ(room[2], std::byte{0xee});
  arguments = of(device->id(), room);
  ASSERT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
  EXPECT_EQ(room[3], std::byte{4});
  EXPECT_EQ(room[4], std::byte{0});
  EXPECT_EQ(room[7], std::byte{0});
  arguments = of(device->id(), {});
  EXPECT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
}

TEST_F(HwptCommandsInformationTest, ChecksItsArguments) {
  auto const device = bind(new_physical());
  std::array<std::byte, 8> room{};
  auto const good = of(device->id(), room);
  auto const refuse = [&](int expected, auto change) {
    auto arguments = good;
    change(arguments);
    EXPECT_EQ(call(IOMMU_GET_HW_INFO, arguments), expected) << words_;
  };
  refuse(EOPNOTSUPP, [](auto& a) { a.flags = 2; });
  refuse(EOPNOTSUPP, [](auto& a) { a.__reserved[2] = 1; });
  refuse(ENOENT, [](auto& a) { a.dev_id = 100; });
  refuse(EOPNOTSUPP, [](auto& a) { a.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE, a.in_data_type = 99; });
  refuse(0, [](auto& a) { a.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE, a.in_data_type = test_information_type; });
  refuse(0, [](auto& a) { a.in_data_type = 99; });  // not said to be one
  refuse(EFAULT, [](auto& a) { a.data_uptr = 16; });
}

TEST_F(HwptCommandsInformationTest, Capabilities) {
  auto const ask = [&](Shape const& shape) {
    auto const device = bind(new_physical(shape));
    auto arguments = of(device->id(), {});
    EXPECT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
    return std::pair{arguments.out_capabilities, arguments.out_max_pasid_log2};
  };
  EXPECT_EQ(ask({.pasid_bits = 0, .capabilities = {}}), (std::pair<std::uint64_t, std::uint8_t>(8, 0)));
  EXPECT_EQ(ask({.pasid_bits = 0, .capabilities = {.pasid_exec = true, .ats = true}}),
            (std::pair<std::uint64_t, std::uint8_t>(0, 0)));
  EXPECT_EQ(
      ask({.pasid_bits = 20, .capabilities = {.dirty_tracking = true, .pasid_exec = true, .pasid_priv = true, .ats = true}}),
      (std::pair<std::uint64_t, std::uint8_t>(7, 20)));
}

}  // namespace
}  // namespace swiommu::iommufd
