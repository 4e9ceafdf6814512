#include "iommufd/drivers/riscv.h"

namespace swiommu::iommufd {

DeviceCapabilities RiscvDriver::usable(DeviceCapabilities const& device) const {
  DeviceCapabilities usable = device;
  usable.dirty_tracking = false;
  usable.set_pasid = false;
  return usable;
}

Result<PagingPlan> RiscvDriver::plan_paging(PhysicalDevice const&, std::uint32_t flags, std::optional<UserData> const& data,
                                            Caller*) const {
  if (flags != 0 || data) return fail(EOPNOTSUPP, "HWPTs of the RISC-V IOMMU take neither flags nor data");
  constexpr unsigned sv39 = 9, svpbmt = 15;  // bits of the register; Sv48 and Sv57 follow the first
  for (unsigned const levels : {5u, 4u, 3u}) {
    if ((capabilities_ >> (sv39 + levels - 3) & 1) == 0) continue;
    PagingPlan plan;
    plan.format = {.format = FormatName::riscv, .levels = levels, .svpbmt = (capabilities_ >> svpbmt & 1) != 0};
    plan.limits.aperture = {0, low_bits(12 + 9 * levels - 1)};  // the lower half of a sign-extended space
    return plan;
  }
  return fail(ENODEV, "this RISC-V IOMMU has no tables for 64-bit addresses");
}

}  // namespace swiommu::iommufd
