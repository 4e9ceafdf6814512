// Intel VT-d: paging HWPTs of VT-d first-stage and VT-d second-stage tables, and nested ones (IOMMU_HWPT_DATA_VTD_S1).
//
// What Linux' driver makes of the same registers: "Intel Virtualization Technology for Directed I/O", 11.4.2 and 11.4.3.
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class VtdDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;

  [[nodiscard]] std::string_view kind() const override { return "Intel VT-d"; }
  [[nodiscard]] bool nests() const override { return true; }
  Result<std::unique_ptr<DriverNested>> make_nested(PhysicalDevice const& device, HwptPaging& parent, std::uint32_t flags,
                                                    UserData const& data, Caller& caller) override;
};

}  // namespace swiommu::iommufd
