// The RISC-V IOMMU: paging HWPTs, which are all that Linux 7.2 has, and nested ones on vIOMMUs.
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class RiscvDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;
  [[nodiscard]] std::string_view kind() const override { return "RISC-V IOMMU"; }
  [[nodiscard]] bool has_viommus(PhysicalDevice const& device, std::uint32_t type) const override;
  Result<std::unique_ptr<DriverViommu>> make_viommu(Viommu& viommu, PhysicalDevice const& device,
                                                    std::optional<UserData> const& data, Caller& caller) override;
  [[nodiscard]] bool has_user_pasid_tables() const override { return true; }
};

}  // namespace swiommu::iommufd
