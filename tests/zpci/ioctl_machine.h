// What a VMM does with /dev/iommu for a zPCI function: an IOAS of guest memory, a nested HWPT for each anchor, and invalidations
// for RPCIT.
#pragma once
#include "iommufd_device_fixture.h"
#include "swiommu/uapi/iommufd_private.h"
#include "zpci/zpci_guest.h"

namespace swiommu::zpci {

class IoctlMachine final : public iommufd::IommufdDeviceTest {
 public:
  explicit IoctlMachine(Guest const& guest)
      : physical_(new_physical({.driver = iommufd::driver_of("s390-zpci")})), bound_(bind(physical_)) {
    std::uint32_t const space = new_ioas();
    EXPECT_EQ(map(space, &guest.data(0), Guest::size, 0), 0) << words_;
    parent_ = new_hwpt(*bound_, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  }
  ~IoctlMachine() override {
    bound_ = nullptr;
    physical_ = nullptr;
    TearDown();
  }

  [[nodiscard]] std::unique_ptr<Port> open_port() const { return physical_->device()->open_port().value(); }

  void anchor(std::uint64_t iota, Range iovas, bool again) {
    swiommu_hwpt_zpci const data{.iota = iota, .pba = iovas.start, .pal = iovas.last};
    auto arguments = nested_of(bound_->id(), parent_, data, 0, SWIOMMU_HWPT_DATA_ZPCI);
    ASSERT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
    std::uint32_t const hwpt = arguments.out_hwpt_id;
    ASSERT_EQ(again ? replace(*bound_, hwpt) : attach(*bound_, hwpt), 0);
    if (again) {
      ASSERT_EQ(destroy(hwpt_), 0) << words_;
    }
    hwpt_ = hwpt;
  }
  void deregister() {
    bound_->detach();
    ASSERT_EQ(destroy(hwpt_), 0) << words_;
  }
  void rpcit(std::uint64_t start, std::uint64_t length) {
    std::vector const entries{swiommu_hwpt_zpci_invalidate{start, length}};
    auto arguments = invalidation_of(hwpt_, entries, SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI);
    ASSERT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), 0) << words_;
  }

 private:
  void TestBody() override {}  // a fixture to be used by others

  std::shared_ptr<iommufd::PhysicalDevice> physical_;
  std::unique_ptr<iommufd::BoundDevice> bound_;
  std::uint32_t parent_ = 0;
  std::uint32_t hwpt_ = 0;  // of the anchor
};

}  // namespace swiommu::zpci
