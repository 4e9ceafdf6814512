#include "iommufd/drivers/riscv.h"

#include <fmt/format.h>

#include "iommufd/drivers/riscv_nested.h"
#include "iommufd/hwpt.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {

bool RiscvDriver::has_viommus(PhysicalDevice const&, std::uint32_t type) const {
  return type == SWIOMMU_VIOMMU_TYPE_RISCV && profile().makes_viommus(type);
}

Result<std::unique_ptr<DriverViommu>> RiscvDriver::make_viommu(Viommu& viommu, PhysicalDevice const&,
                                                               std::optional<UserData> const&, Caller&) {
  if (viommu.parent()->driver().kind() != kind())
    return fail(EINVAL, fmt::format("HWPT {} was made for other hardware", viommu.parent()->id()));
  return std::make_unique<RiscvViommu>(viommu, profile().makes_nested(SWIOMMU_HWPT_DATA_RISCV),
                                       riscv::Registers{.capabilities = profile().register_value("capabilities")});
}

}  // namespace swiommu::iommufd
