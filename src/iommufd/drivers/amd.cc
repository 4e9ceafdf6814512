#include "iommufd/drivers/amd.h"

#include <fmt/format.h>

#include "iommufd/drivers/amd_nested.h"
#include "iommufd/hwpt.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {

bool AmdDriver::has_viommus(PhysicalDevice const&, std::uint32_t type) const {
  return type == SWIOMMU_VIOMMU_TYPE_AMD && profile().makes_viommus(type);
}

Result<std::unique_ptr<DriverViommu>> AmdDriver::make_viommu(Viommu& viommu, PhysicalDevice const&,
                                                             std::optional<UserData> const&, Caller&) {
  if (viommu.parent()->driver().kind() != kind())
    return fail(EINVAL, fmt::format("HWPT {} was made for other hardware", viommu.parent()->id()));
  return std::make_unique<AmdViommu>(viommu, profile().makes_nested(IOMMU_HWPT_DATA_AMD_GUEST),
                                     amd::Registers{.extended_features = profile().register_value("efr")});
}

}  // namespace swiommu::iommufd
