// AMD-Vi: paging HWPTs of v1 and v2 tables. Nested ones cannot be had from Linux 7.2, nor here.
#pragma once
#include "iommufd/driver.h"

namespace swiommu::iommufd {

class AmdDriver final : public Driver {
 public:
  // The extended feature registers (AMD I/O Virtualization Technology, 3.4.2: offsets 0x30 and 0x1a0), and the host's address
  // width (0: 52 bits).
  AmdDriver(std::uint64_t features, std::uint64_t features2, unsigned host_address_width)
      : features_(features), features2_(features2), host_address_width_(host_address_width) {}

  [[nodiscard]] std::string_view kind() const override { return "AMD-Vi"; }
  [[nodiscard]] DeviceCapabilities usable(DeviceCapabilities const& device) const override;
  [[nodiscard]] std::vector<ReservedRegion> reserved() const override;
  Result<HardwareInfo> hardware_info(PhysicalDevice const& device, std::uint32_t type) const override;
  Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller* caller) const override;

 private:
  [[nodiscard]] bool has(unsigned feature) const { return (features_ >> feature & 1) != 0; }
  [[nodiscard]] PagingPlan plan_v1(bool dirty) const;
  [[nodiscard]] PagingPlan plan_v2() const;

  std::uint64_t const features_;
  std::uint64_t const features2_;
  unsigned const host_address_width_;
};

}  // namespace swiommu::iommufd
