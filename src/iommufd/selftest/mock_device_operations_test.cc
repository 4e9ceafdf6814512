#include <cstring>

#include "iommufd/file.h"
#include "iommufd/selftest/kernel_version.h"
#include "iommufd/selftest/mock_device.h"
#include "iommufd/selftest/selftest_fixture.h"
#include "swiommu/device/port.h"

namespace swiommu::iommufd::selftest {
namespace {

class SelftestDeviceTest : public SelftestFixture {
 protected:
  long pasid_call(TestOperation operation, std::uint32_t mock, std::uint32_t pasid, std::uint32_t pt = 0) {
    auto c = command(operation, mock);
    c.pasid = {.pasid = pasid, .pt_id = pt};
    return test(c);
  }
  long attach(std::uint32_t mock, std::uint32_t pasid, std::uint32_t pt) {
    return pasid_call(TestOperation::pasid_attach, mock, pasid, pt);
  }
  long change(std::uint32_t mock, std::uint32_t pasid, std::uint32_t pt) {
    return pasid_call(TestOperation::pasid_replace, mock, pasid, pt);
  }
  long detach(std::uint32_t mock, std::uint32_t pasid) { return pasid_call(TestOperation::pasid_detach, mock, pasid); }
  long check(std::uint32_t mock, std::uint32_t pasid, std::uint32_t hwpt) {
    return pasid_call(TestOperation::pasid_check, mock, pasid, hwpt);
  }
};

TEST_F(SelftestDeviceTest, AMockDeviceHasItsIdBeforeTheDeviceAndTheAutomaticHwpt) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  EXPECT_LT(made.id, made.device);
  EXPECT_LT(made.device, made.hwpt);
  EXPECT_EQ(destroy(space), -EBUSY);
  EXPECT_EQ(destroy(made.device), -EBUSY);
  EXPECT_EQ(destroy(made.hwpt), -EBUSY);
  EXPECT_EQ(destroy(made.id), 0);
  EXPECT_EQ(destroy(made.device), -ENOENT);
  EXPECT_EQ(destroy(made.hwpt), -ENOENT);
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(SelftestDeviceTest, RefusesWhatDoesNotExist) {
  std::uint32_t const space = ioas();
  Mock made;
  EXPECT_EQ(mock(space + 100, made), -ENOENT);
  EXPECT_EQ(mock(space, made, 8), -EINVAL);
  EXPECT_EQ(replace(space, space), -ENOENT);
  EXPECT_EQ(attach(99, 1, space), -ENOENT);
  EXPECT_EQ(destroy(space), 0);  // nothing is left of the devices that failed
}

TEST_F(SelftestDeviceTest, ADeviceThatCannotBeReportedIsGone) {
  std::uint32_t const space = ioas();
  auto c = command(TestOperation::mock_domain, space);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(test(c), -EFAULT);
  caller_.memory_is_unwritable = false;
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(SelftestDeviceTest, ReplacingMovesToOtherHwptsAndBack) {
  std::uint32_t const space = ioas(), other = ioas();
  Mock const made = mock(space);
  EXPECT_EQ(replace(made.id, other), 0);
  EXPECT_EQ(destroy(made.hwpt), -ENOENT);  // the automatic HWPT went with its last device
  long const manual = hwpt(made.device, space);
  ASSERT_GT(manual, 0);
  EXPECT_EQ(replace(made.id, manual), 0);
  EXPECT_EQ(destroy(manual), -EBUSY);
  EXPECT_EQ(replace(made.id, manual), 0);
  EXPECT_EQ(destroy(other), 0);
  EXPECT_EQ(replace(made.id, space), 0);
  EXPECT_EQ(destroy(manual), 0);
}

TEST_F(SelftestDeviceTest, DmaGoesThroughWhatIsAttached) {
  std::uint32_t const space = ioas(), other = ioas();
  Mock const made = mock(space);
  CallerMemory const memory(page), elsewhere(page);
  ASSERT_EQ(map(space, memory.address(), page, first_iova), 0);
  ASSERT_EQ(map(other, elsewhere.address(), page, first_iova), 0);
  auto const device = [&] {
    auto& file = static_cast<File&>(*file_);
    Lock const lock(file.mutex());
    return file.objects().find<MockDevice>(made.id).value()->physical()->device();
  }();
  auto const port = device->open_port().value();
  auto const write = [&](std::uint8_t value) { return port->write(Iova(first_iova + 5), &value, 1).ok(); };
  auto const at_5 = [](CallerMemory const& where) { return std::to_integer<unsigned>(where.data()[5]); };
  EXPECT_TRUE(write(1));
  EXPECT_EQ(at_5(memory), 1u);

  // A nested HWPT of the mock IOMMU passes on what comes to its parent.
  MockHwptData const data{.iotlb = 1, .table = 0};
  long const nested = hwpt_with(made.device, hwpt(made.device, space, IOMMU_HWPT_ALLOC_NEST_PARENT), &data);
  ASSERT_EQ(replace(made.id, nested), 0);
  EXPECT_TRUE(write(2));
  EXPECT_EQ(at_5(memory), 2u);

  ASSERT_EQ(replace(made.id, other), 0);
  EXPECT_TRUE(write(3));
  EXPECT_EQ(at_5(memory), 2u);
  EXPECT_EQ(at_5(elsewhere), 3u);
  ASSERT_EQ(unmap(other, first_iova, page), 0);
  EXPECT_FALSE(write(4));
  ASSERT_EQ(map(other, elsewhere.address(), page, first_iova), 0);
  EXPECT_TRUE(write(5));
  ASSERT_EQ(destroy(made.id), 0);
  EXPECT_FALSE(write(6));
  EXPECT_EQ(at_5(elsewhere), 5u);
}

TEST_F(SelftestDeviceTest, DirtyTrackingNeedsADeviceThatHasIt) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space), without = mock(space, mock_no_dirty_tracking);
  EXPECT_EQ(hwpt(without.device, space, IOMMU_HWPT_ALLOC_DIRTY_TRACKING), -EOPNOTSUPP);
  long const tracking = hwpt(made.device, space, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
  ASSERT_GT(tracking, 0);
  Mock third;
  EXPECT_EQ(mock(tracking, third, mock_no_dirty_tracking), -EINVAL);
  EXPECT_EQ(mock(tracking, third), 0);
}

TEST_F(SelftestDeviceTest, PasidsAreAttachedReplacedAndDetached) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space, mock_has_pasids);
  long const first = hwpt(made.device, space, IOMMU_HWPT_ALLOC_PASID), second = hwpt(made.device, space, IOMMU_HWPT_ALLOC_PASID);
  ASSERT_GT(first, 0);
  ASSERT_GT(second, 0);
  EXPECT_EQ(detach(made.id, 5), 0);
  EXPECT_EQ(attach(made.id, 5, first), -EINVAL);  // the device itself is attached to an automatic HWPT
  EXPECT_EQ(replace(made.id, second), 0);
  EXPECT_EQ(change(made.id, 5, first), -EINVAL);
  EXPECT_EQ(attach(made.id, 5, first), 0);
  EXPECT_EQ(attach(made.id, 5, second), -EBUSY);
  EXPECT_EQ(attach(made.id, 6, space), -EINVAL);
  EXPECT_EQ(attach(made.id, 1 << mock_pasid_bits, first), -EINVAL);
  EXPECT_EQ(check(made.id, 5, first), 0);
  EXPECT_EQ(check(made.id, 5, second), -EINVAL);
  EXPECT_EQ(check(made.id, 5, 0), -EINVAL);
  EXPECT_EQ(check(made.id, 5, space), -EINVAL);
  EXPECT_EQ(check(made.id, 5, 99), -ENOENT);
  EXPECT_EQ(check(made.id, 6, 0), 0);
  EXPECT_EQ(change(made.id, 5, second), 0);
  EXPECT_EQ(check(made.id, 5, second), 0);
  EXPECT_EQ(replace(made.id, space), -EINVAL);  // PASIDs need an HWPT made for them beside them
  EXPECT_EQ(detach(made.id, 5), 0);
  EXPECT_EQ(check(made.id, 5, 0), 0);
  EXPECT_EQ(replace(made.id, space), 0);
}

TEST_F(SelftestDeviceTest, ADeviceWithoutPasidsTakesNone) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space);
  long const table = hwpt(made.device, space, IOMMU_HWPT_ALLOC_PASID);
  ASSERT_GT(table, 0);
  EXPECT_EQ(attach(made.id, 5, table), -EINVAL);
  EXPECT_EQ(replace(made.id, table), 0);
  EXPECT_EQ(attach(made.id, 5, table), -EINVAL);
  EXPECT_EQ(check(made.id, 5, 0), 0);
}

TEST_F(SelftestDeviceTest, TheSecondAttachOfTheUnluckyPasidFailsAndLeavesTheFirst) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space, mock_has_pasids);
  long const first = hwpt(made.device, space, IOMMU_HWPT_ALLOC_PASID), second = hwpt(made.device, space, IOMMU_HWPT_ALLOC_PASID);
  EXPECT_EQ(replace(made.id, first), 0);
  EXPECT_EQ(attach(made.id, unlucky_pasid, first), 0);
  EXPECT_EQ(change(made.id, unlucky_pasid, second), -ENOMEM);
  EXPECT_EQ(check(made.id, unlucky_pasid, first), 0);
  EXPECT_EQ(destroy(second), 0);
  EXPECT_EQ(detach(made.id, unlucky_pasid), 0);
  EXPECT_EQ(attach(made.id, unlucky_pasid, first), 0);  // detaching was luck
}

TEST_F(SelftestDeviceTest, PasidChangesThatCannotBeReportedAreTakenBack) {
  std::uint32_t const space = ioas();
  Mock const made = mock(space, mock_has_pasids);
  long const table = hwpt(made.device, space, IOMMU_HWPT_ALLOC_PASID);
  EXPECT_EQ(replace(made.id, table), 0);
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(attach(made.id, 5, table), -EFAULT);
  caller_.memory_is_unwritable = false;
  EXPECT_EQ(check(made.id, 5, 0), 0);
}

}  // namespace
}  // namespace swiommu::iommufd::selftest
