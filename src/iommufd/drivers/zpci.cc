#include "iommufd/drivers/zpci.h"

namespace swiommu::iommufd {

DeviceCapabilities ZpciDriver::usable(DeviceCapabilities const& device) const {
  DeviceCapabilities usable = device;
  usable.dirty_tracking = false;
  usable.set_pasid = false;
  return usable;
}

std::vector<ReservedRegion> ZpciDriver::reserved() const {
  std::vector<ReservedRegion> regions;
  if (dma_.start != 0) regions.push_back({{0, dma_.start - 1}, ReservedRegion::Kind::reserved});
  if (dma_.last != Range::all().last) regions.push_back({{dma_.last + 1, Range::all().last}, ReservedRegion::Kind::reserved});
  return regions;
}

Result<PagingPlan> ZpciDriver::plan_paging(PhysicalDevice const&, std::uint32_t flags, std::optional<UserData> const& data,
                                           Caller*) const {
  if (flags != 0 || data) return fail(EOPNOTSUPP, "HWPTs of zPCI take neither flags nor data");
  // A region-third table covers 2^42 bytes, a region-second one 2^53: the smallest that the range needs.
  PagingPlan plan;
  unsigned const levels = dma_.last <= low_bits(42) ? 3 : dma_.last <= low_bits(53) ? 4 : 5;
  plan.format = {.format = FormatName::s390_zpci, .levels = levels};
  plan.limits.aperture = {0, levels == 5 ? Range::all().last : low_bits(levels == 3 ? 42 : 53)};
  return plan;
}

}  // namespace swiommu::iommufd
