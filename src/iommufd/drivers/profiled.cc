#include "iommufd/drivers/profiled.h"

#include <fmt/format.h>

#include <algorithm>

#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {

// `page_requests` stays: it is PCI's, and Linux looks at it whatever the IOMMU has.
DeviceCapabilities ProfiledDriver::usable(DeviceCapabilities const& device) const {
  DeviceCapabilities usable = device;
  usable.dirty_tracking &= profile_.dirty_tracking;
  usable.set_pasid &= profile_.max_pasids != 0;
  usable.max_pasids = std::min(device.max_pasids, profile_.max_pasids);
  usable.pasid_exec &= profile_.pasid_exec;
  usable.pasid_priv &= profile_.pasid_privileged;
  usable.ats &= profile_.ats;
  return usable;
}

// Hardware that tells nothing says so whatever it is asked for.
Result<HardwareInfo> ProfiledDriver::hardware_info(PhysicalDevice const&, std::uint32_t type) const {
  auto info = profile_.information();
  if (info && info->type != IOMMU_HW_INFO_TYPE_NONE && type != IOMMU_HW_INFO_TYPE_DEFAULT && type != info->type)
    return fail(EOPNOTSUPP, fmt::format("{} has information of type {:#x}, not {:#x}", kind(), info->type, type));
  return info;
}

Result<PagingPlan> ProfiledDriver::plan_paging(PhysicalDevice const&, std::uint32_t flags, std::optional<UserData> const& data,
                                               Caller*) const {
  if (data) return fail(EOPNOTSUPP, fmt::format("paging HWPTs of {} take no data", kind()));
  auto const chosen = profile_.choose_paging(flags);
  if (!chosen) return std::unexpected(chosen.error());
  return plan_of(*chosen);
}

bool ProfiledDriver::nests_raw() const { return profile_.makes_nested(SWIOMMU_HWPT_DATA_RAW); }

PagingPlan ProfiledDriver::plan_of(PagingKind const& kind) {
  return {.format = kind.format,
          .limits = {.aperture = kind.inputs(), .writable_only = kind.writable_only},
          .enforces_coherency = kind.enforces_coherency};
}

}  // namespace swiommu::iommufd
