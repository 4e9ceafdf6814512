// AMD-Vi: paging HWPTs of v1 and v2 tables, and nested ones on vIOMMUs, which Linux 7.2 has data for and no way to make.
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class AmdDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;
  [[nodiscard]] std::string_view kind() const override { return "AMD-Vi"; }
  [[nodiscard]] bool has_viommus(PhysicalDevice const& device, std::uint32_t type) const override;
  Result<std::unique_ptr<DriverViommu>> make_viommu(Viommu& viommu, PhysicalDevice const& device,
                                                    std::optional<UserData> const& data, Caller& caller) override;
  [[nodiscard]] bool has_user_pasid_tables() const override { return true; }
};

}  // namespace swiommu::iommufd
