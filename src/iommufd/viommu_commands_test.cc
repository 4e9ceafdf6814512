#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

class ViommuCommandsTest : public IommufdDeviceTest {
 protected:
  void SetUp() override {
    device_ = bind(physical_);
    space_ = new_ioas();
    parent_ = new_hwpt(*device_, space_, IOMMU_HWPT_ALLOC_NEST_PARENT);
  }
  void TearDown() override {
    device_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  iommu_viommu_alloc viommu_of(std::uint32_t parent) const {
    iommu_viommu_alloc arguments{};
    arguments.size = sizeof arguments;
    arguments.type = test_viommu_type;
    arguments.dev_id = device_->id();
    arguments.hwpt_id = parent;
    return arguments;
  }
  iommu_hw_queue_alloc queue_of(std::uint32_t viommu, std::uint32_t index, std::uint64_t iova, std::uint64_t length) const {
    iommu_hw_queue_alloc arguments{};
    arguments.size = sizeof arguments;
    arguments.viommu_id = viommu;
    arguments.type = test_hw_queue_type;
    arguments.index = index;
    arguments.nesting_parent_iova = iova;
    arguments.length = length;
    return arguments;
  }

  std::shared_ptr<PhysicalDevice> physical_ = new_physical();
  std::unique_ptr<BoundDevice> device_;
  std::uint32_t space_ = 0, parent_ = 0;
};

TEST_F(ViommuCommandsTest, AllocChecksItsArgumentsInLinuxOrder) {
  auto const refuse = [&](int expected, auto change) {
    auto arguments = viommu_of(parent_);
    change(arguments);
    EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, arguments), expected) << words_;
  };
  std::uint32_t const plain = new_hwpt(*device_, space_);
  refuse(EOPNOTSUPP, [](auto& a) { a.flags = 1, a.dev_id = 100; });
  refuse(EOPNOTSUPP, [](auto& a) { a.type = IOMMU_VIOMMU_TYPE_DEFAULT, a.dev_id = 100; });
  refuse(ENOENT, [](auto& a) { a.dev_id = 100, a.type = 1; });
  refuse(EOPNOTSUPP, [](auto& a) { a.type = 1, a.hwpt_id = 100; });
  refuse(ENOENT, [](auto& a) { a.hwpt_id = 100; });
  refuse(ENOENT, [&](auto& a) { a.hwpt_id = space_; });
  refuse(EINVAL, [&](auto& a) { a.hwpt_id = plain; });
  refuse(0, [](auto& a) { a.__reserved = 1; });  // nobody looks
  TestViommuData data{.status = EXDEV, .out = 0, .out_offset = 0};
  refuse(EXDEV, [&](auto& a) { a.data_len = sizeof data, a.data_uptr = std::bit_cast<std::uint64_t>(&data); });
  refuse(EFAULT, [&](auto& a) { a.data_len = sizeof data, a.data_uptr = 16; });
  refuse(EINVAL, [&](auto& a) { a.data_len = 1, a.data_uptr = std::bit_cast<std::uint64_t>(&data); });
}

TEST_F(ViommuCommandsTest, AViommuUsesItsParent) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  EXPECT_EQ(destroy(parent_), EBUSY);
  EXPECT_EQ(destroy(viommu), 0);
  EXPECT_EQ(destroy(parent_), 0);
}

TEST_F(ViommuCommandsTest, MemoryOfTheDriverIsMapped) {
  TestViommuData data{};
  auto arguments = viommu_of(parent_);
  arguments.data_len = sizeof data;
  arguments.data_uptr = std::bit_cast<std::uint64_t>(&data);
  ASSERT_EQ(call(IOMMU_VIOMMU_ALLOC, arguments), 0) << words_;
  EXPECT_EQ(data.out, 7u);
  EXPECT_EQ(data.out_offset, page);
  auto const refuse = [&](int expected, std::uint64_t offset, std::uint64_t length, int protection, int flags) {
    auto const result = file_->map(offset, length, protection, flags);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, expected) << result.error().about;
  };
  refuse(EINVAL, page, 100, PROT_READ, MAP_SHARED);
  refuse(EINVAL, page, page, PROT_READ, MAP_PRIVATE);
  refuse(EPERM, page, page, PROT_READ | PROT_EXEC, MAP_SHARED);
  refuse(ENXIO, 0, page, PROT_READ, MAP_SHARED);
  refuse(ENXIO, 2 * page, page, PROT_READ, MAP_SHARED);
  refuse(ENXIO, page, 2 * page, PROT_READ, MAP_SHARED);
  auto mapped = file_->map(page, page, PROT_READ | PROT_WRITE, MAP_SHARED).value();
  EXPECT_GE(mapped->descriptor(), 0);
  EXPECT_EQ(mapped->offset(), 0u);
  EXPECT_EQ(destroy(arguments.out_viommu_id), EBUSY);
  mapped = nullptr;
  EXPECT_EQ(destroy(arguments.out_viommu_id), 0);
  refuse(ENXIO, page, page, PROT_READ, MAP_SHARED);
}

TEST_F(ViommuCommandsTest, MappedMemoryKeepsTheFileOpen) {
  TestViommuData data{};
  auto arguments = viommu_of(parent_);
  arguments.data_len = sizeof data;
  arguments.data_uptr = std::bit_cast<std::uint64_t>(&data);
  ASSERT_EQ(call(IOMMU_VIOMMU_ALLOC, arguments), 0);
  auto mapped = file_->map(page, page, PROT_READ, MAP_SHARED).value();
  std::weak_ptr<OpenFile> const file = file_;
  device_ = nullptr;
  file_ = nullptr;
  EXPECT_FALSE(file.expired());
  mapped = nullptr;
  EXPECT_TRUE(file.expired());
}

TEST_F(ViommuCommandsTest, NestedHwptsOnViommus) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  auto const elsewhere = bind(new_physical({.driver = std::make_shared<TestDriver>()}));  // another IOMMU of the same kind
  TestHwptData const data{.root = 0x100000, .reserved = 0};
  auto const alloc = [&](std::uint32_t dev, std::uint32_t flags, std::uint32_t length) {
    auto arguments = nested_of(dev, viommu, data, flags);
    arguments.data_len = length;
    if (length == 0) arguments.data_type = 0;
    return call(IOMMU_HWPT_ALLOC, arguments);
  };
  EXPECT_EQ(alloc(elsewhere->id(), 0, sizeof data), EINVAL);
  EXPECT_EQ(alloc(device_->id(), IOMMU_HWPT_ALLOC_NEST_PARENT, sizeof data), EOPNOTSUPP);
  EXPECT_EQ(alloc(device_->id(), 0, 0), EOPNOTSUPP);
  std::uint32_t const nested = new_nested(*device_, viommu);
  EXPECT_EQ(destroy(viommu), EBUSY);
  EXPECT_EQ(attach(*device_, nested), ENOENT);  // the device has no vDEVICE
  ASSERT_EQ(vdevice(viommu, device_->id(), 0x99), 0);
  ASSERT_EQ(attach(*device_, nested), 0);
  EXPECT_EQ(physical_->device()->domain()->parent(), object<HwptPaging>(parent_)->domain());
  device_->detach();
  EXPECT_EQ(destroy(nested), 0);
}

TEST_F(ViommuCommandsTest, WhatCannotBeAVdevice) {
  std::uint32_t const viommu = new_viommu(*device_, parent_), another = new_viommu(*device_, parent_);
  auto const neighbour = bind(new_physical());
  auto const elsewhere = bind(new_physical({.driver = std::make_shared<TestDriver>()}));
  EXPECT_EQ(vdevice(100, device_->id(), 1), ENOENT);
  EXPECT_EQ(vdevice(space_, device_->id(), 1), ENOENT);
  EXPECT_EQ(vdevice(viommu, 100, 1), ENOENT);
  EXPECT_EQ(vdevice(viommu, elsewhere->id(), 1), EINVAL);
  EXPECT_EQ(vdevice(viommu, device_->id(), TestViommu::refused_virtual_id), EOPNOTSUPP);
  std::uint32_t id = 0;
  ASSERT_EQ(vdevice(viommu, device_->id(), 1, &id), 0);
  EXPECT_EQ(vdevice(viommu, device_->id(), 2), EEXIST);
  EXPECT_EQ(vdevice(another, device_->id(), 2), EEXIST);
  EXPECT_EQ(vdevice(viommu, neighbour->id(), 1), EEXIST);
  EXPECT_EQ(vdevice(another, neighbour->id(), 1), 0);
  EXPECT_EQ(destroy(viommu), EBUSY);
  EXPECT_EQ(object<Viommu>(viommu)->find_device(1), physical_);
  EXPECT_EQ(object<Viommu>(viommu)->virtual_id(*physical_).value(), 1u);
  ASSERT_EQ(destroy(id), 0);
  EXPECT_EQ(object<Viommu>(viommu)->find_device(1), nullptr);
  EXPECT_EQ(object<Viommu>(viommu)->virtual_id(*physical_).error().code, ENOENT);
  EXPECT_EQ(vdevice(viommu, device_->id(), ~std::uint64_t{0}), 0);
}

TEST_F(ViommuCommandsTest, AVdeviceWhoseIdCannotBeToldIsNotMade) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(vdevice(viommu, device_->id(), 1), EFAULT);
  caller_.memory_is_unwritable = false;
  EXPECT_EQ(vdevice(viommu, device_->id(), 1), 0);
}

TEST_F(ViommuCommandsTest, UnbindingLeavesATombstone) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  std::uint32_t id = 0;
  ASSERT_EQ(vdevice(viommu, device_->id(), 1, &id), 0);
  std::uint32_t const dev = device_->id();
  device_ = nullptr;
  EXPECT_EQ(destroy(id), ENOENT);
  EXPECT_EQ(vdevice(viommu, dev, 1), ENOENT);
  EXPECT_EQ(new_ioas(), dev);     // that of the device is free
  EXPECT_EQ(new_ioas(), id + 1);  // that of the vDEVICE never again
  device_ = bind(physical_);
  EXPECT_EQ(vdevice(viommu, device_->id(), 1), 0);
  EXPECT_EQ(destroy(viommu), EBUSY);
}

TEST_F(ViommuCommandsTest, HwQueuesCheckTheirArgumentsInLinuxOrder) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  ASSERT_EQ(map(space_, memory(2 * page), page, 0x20000), 0);
  auto const refuse = [&](int expected, auto change) {
    auto arguments = queue_of(viommu, 0, 0x20000, page);
    change(arguments);
    EXPECT_EQ(call(IOMMU_HW_QUEUE_ALLOC, arguments), expected) << words_;
  };
  refuse(EOPNOTSUPP, [](auto& a) { a.flags = 1, a.length = 0; });
  refuse(EOPNOTSUPP, [](auto& a) { a.type = 0, a.length = 0; });
  refuse(EINVAL, [](auto& a) { a.length = 0, a.viommu_id = 100; });
  refuse(EOVERFLOW, [](auto& a) { a.nesting_parent_iova = ~std::uint64_t{0}, a.viommu_id = 100; });
  refuse(ENOENT, [](auto& a) { a.viommu_id = 100; });
  refuse(EOPNOTSUPP, [](auto& a) { a.type++; });
  refuse(ENOENT, [](auto& a) { a.nesting_parent_iova = 0x50000; });
  refuse(ENOENT, [](auto& a) { a.length = page + 1; });
  refuse(ERANGE, [](auto& a) { a.nesting_parent_iova = 0, a.length = ~std::uint64_t{0}; });
  refuse(EIO, [](auto& a) { a.index = 1; });
  refuse(EINVAL, [](auto& a) { a.index = 2; });
  refuse(0, [](auto&) {});
  refuse(EEXIST, [](auto&) {});
}

TEST_F(ViommuCommandsTest, AHwQueuePinsItsMemory) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  std::byte* const bytes = memory(2 * page);
  ASSERT_EQ(map(space_, bytes, page, 0x20000), 0);
  ASSERT_EQ(map(space_, bytes + page, page, 0x30000), 0);
  auto first = queue_of(viommu, 0, 0x20800, 0x800);  // half a page
  ASSERT_EQ(call(IOMMU_HW_QUEUE_ALLOC, first), 0) << words_;
  auto second = queue_of(viommu, 1, 0x20000, page);
  ASSERT_EQ(call(IOMMU_HW_QUEUE_ALLOC, second), 0) << words_;
  EXPECT_EQ(unmap(space_, 0x20000, page), EBUSY);
  EXPECT_EQ(unmap(space_, 0x30000, page), 0);
  EXPECT_EQ(destroy(viommu), EBUSY);
  EXPECT_EQ(destroy(first.out_hw_queue_id), EBUSY);  // the second needs it
  EXPECT_EQ(destroy(second.out_hw_queue_id), 0);
  EXPECT_EQ(unmap(space_, 0x20000, page), EBUSY);
  EXPECT_EQ(destroy(first.out_hw_queue_id), 0);
  EXPECT_EQ(unmap(space_, 0x20000, page), 0);
  EXPECT_EQ(destroy(viommu), 0);
}

TEST_F(ViommuCommandsTest, AHwQueueLiesInARowInTheMachinesMemory) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  ASSERT_EQ(map(space_, memory(2 * page), 2 * page, 0x20000), 0);
  auto arguments = queue_of(viommu, 0, 0x20000, 2 * page);
  EXPECT_EQ(call(IOMMU_HW_QUEUE_ALLOC, arguments), EFAULT);
  EXPECT_EQ(unmap(space_, 0x20000, 2 * page), 0);
}

TEST_F(ViommuCommandsTest, AHwQueueWhoseIdCannotBeToldIsNotMade) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  ASSERT_EQ(map(space_, memory(page), page, 0x20000), 0);
  auto arguments = queue_of(viommu, 0, 0x20000, page);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(call(IOMMU_HW_QUEUE_ALLOC, arguments), EFAULT);
  caller_.memory_is_unwritable = false;
  EXPECT_EQ(unmap(space_, 0x20000, page), 0);
  EXPECT_EQ(destroy(viommu), 0);
}

TEST_F(ViommuCommandsTest, EverythingGoesWithTheFile) {
  std::uint32_t const viommu = new_viommu(*device_, parent_);
  std::uint32_t const nested = new_nested(*device_, viommu);
  ASSERT_EQ(vdevice(viommu, device_->id(), 1), 0);
  ASSERT_EQ(attach(*device_, nested), 0);
  ASSERT_EQ(map(space_, memory(page), page, 0x20000), 0);
  auto arguments = queue_of(viommu, 0, 0x20000, page);
  ASSERT_EQ(call(IOMMU_HW_QUEUE_ALLOC, arguments), 0);
  std::weak_ptr<Ioas> const space = ioas(space_);
  device_ = nullptr;
  file_ = nullptr;
  EXPECT_TRUE(space.expired());
}

}  // namespace
}  // namespace swiommu::iommufd
