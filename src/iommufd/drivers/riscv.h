// The RISC-V IOMMU: paging HWPTs, and nothing else, as Linux 7.2 has it.
#pragma once
#include "iommufd/driver.h"

namespace swiommu::iommufd {

class RiscvDriver final : public Driver {
 public:
  // The register "capabilities" (RISC-V IOMMU specification, 6.3).
  explicit RiscvDriver(std::uint64_t capabilities) : capabilities_(capabilities) {}

  [[nodiscard]] std::string_view kind() const override { return "RISC-V IOMMU"; }
  [[nodiscard]] DeviceCapabilities usable(DeviceCapabilities const& device) const override;
  Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller* caller) const override;

 private:
  std::uint64_t const capabilities_;
};

}  // namespace swiommu::iommufd
