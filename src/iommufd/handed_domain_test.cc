#include "swiommu/iommufd/handed_domain.h"

#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

class IommufdHandedDomain : public IommufdDeviceTest {};

TEST_F(IommufdHandedDomain, OfAnIoasFollowsItsMappings) {
  auto* const data = memory(2 * page);
  data[3] = std::byte{7};
  auto const id = new_ioas();
  ASSERT_EQ(map(id, data, page, 0x10000), 0);
  auto domain = hand_out_domain(file_, id).value();
  auto const device = Device::create(engine_->host()).value();
  ASSERT_TRUE(device->attach(domain));
  auto const port = device->open_port().value();
  std::byte byte{};
  EXPECT_TRUE(port->read(Iova(0x10003), &byte, 1).ok());
  EXPECT_EQ(byte, std::byte{7});
  ASSERT_EQ(map(id, data + page, page, 0x20000), 0);
  EXPECT_TRUE(port->read(Iova(0x20000), &byte, 1).ok());
  ASSERT_EQ(unmap(id, 0x10000, page), 0);
  EXPECT_FALSE(port->read(Iova(0x10003), &byte, 1).ok());
  EXPECT_EQ(destroy(id), EBUSY);
  ASSERT_TRUE(device->detach());
  domain.reset();
  EXPECT_EQ(destroy(id), 0);
}

TEST_F(IommufdHandedDomain, OfAHwptIsTheHwptsOwn) {
  auto* const data = memory(page);
  auto const id = new_ioas();
  ASSERT_EQ(map(id, data, page, 0x10000), 0);
  auto const device = bind(new_physical());
  auto const hwpt = new_hwpt(*device, id, IOMMU_HWPT_ALLOC_NEST_PARENT);
  auto domain = hand_out_domain(file_, hwpt).value();
  EXPECT_TRUE(domain->translate(0x10000, Access::both(), Update::no).ok());
  auto const again = hand_out_domain(file_, hwpt).value();
  EXPECT_EQ(domain.get(), again.get());
  auto const nested =
      NestedDomain::create(domain, UserPageTable{.format = {.format = FormatName::x86_64}, .root = 0x10000}).value();
  domain.reset();
  EXPECT_EQ(destroy(hwpt), EBUSY);
}

TEST_F(IommufdHandedDomain, OfAHwptIsFreeAgainWhenNobodyHasIt) {
  auto const id = new_ioas();
  auto const device = bind(new_physical());
  auto const hwpt = new_hwpt(*device, id);
  EXPECT_TRUE(hand_out_domain(file_, hwpt));
  EXPECT_EQ(destroy(hwpt), 0);
}

TEST_F(IommufdHandedDomain, KeepsTheFileOpen) {
  auto* const data = memory(page);
  auto const id = new_ioas();
  ASSERT_EQ(map(id, data, page, 0x10000), 0);
  auto const domain = hand_out_domain(file_, id).value();
  file_.reset();
  EXPECT_TRUE(domain->translate(0x10000, Access::both(), Update::no).ok());
}

TEST_F(IommufdHandedDomain, OfWhatHasNoneIsRefused) {
  EXPECT_EQ(hand_out_domain(file_, 77).error().code, ENOENT);
  EXPECT_EQ(hand_out_domain(nullptr, 1).error().code, EBADFD);
  auto const id = new_ioas();
  ASSERT_EQ(map(id, nullptr, page, 0x10000), 0);  // nothing is there
  EXPECT_EQ(hand_out_domain(file_, id).error().code, EFAULT);
  EXPECT_EQ(destroy(id), 0);
}

}  // namespace
}  // namespace swiommu::iommufd
