#include "iommufd/drivers/amd.h"

#include <fmt/format.h>

#include <algorithm>

#include "iommufd/hardware_information.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

// Bits of the extended feature registers.
constexpr unsigned page_requests = 1, guest_translation = 4, guest_io = 48, host_dirty = 52;
constexpr unsigned gcr3_translation_mode = 3;  // of the second one

// HyperTransport addresses with a meaning of their own, which Linux reserves.
constexpr Range hyper_transport{0xfd00000000, 0xffffffffff};

}  // namespace

DeviceCapabilities AmdDriver::usable(DeviceCapabilities const& device) const {
  DeviceCapabilities usable = device;
  usable.dirty_tracking &= has(host_dirty);
  usable.set_pasid &= has(guest_translation) && has(page_requests);
  return usable;
}

std::vector<ReservedRegion> AmdDriver::reserved() const {
  return {{x86_interrupt_range, ReservedRegion::Kind::hardware_msi}, {hyper_transport, ReservedRegion::Kind::reserved}};
}

Result<HardwareInfo> AmdDriver::hardware_info(PhysicalDevice const&, std::uint32_t type) const {
  return information(IOMMU_HW_INFO_TYPE_AMD, iommu_hw_info_amd{.efr = features_, .efr2 = features2_}, type);
}

Result<PagingPlan> AmdDriver::plan_paging(PhysicalDevice const&, std::uint32_t flags, std::optional<UserData> const& data,
                                          Caller*) const {
  if (data) return fail(EOPNOTSUPP, "paging HWPTs of AMD-Vi take no data");
  bool const dirty = (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0;
  if (flags == IOMMU_HWPT_ALLOC_PASID) {
    if (!has(guest_translation) || !has(page_requests)) return fail(EOPNOTSUPP, "this AMD IOMMU has no PASIDs (GTSup, PPRSup)");
    return plan_v2();
  }
  if ((flags & IOMMU_HWPT_ALLOC_PASID) != 0)
    return fail(EOPNOTSUPP, "AMD's tables for PASIDs have neither dirty flags nor nested ones on them");
  if (dirty && !has(host_dirty)) return fail(EOPNOTSUPP, "this AMD IOMMU has no dirty flags (HDSup)");
  bool const can_nest =
      has(guest_translation) && has(guest_io) && bit_field(features2_, gcr3_translation_mode, gcr3_translation_mode) != 0;
  if ((flags & IOMMU_HWPT_ALLOC_NEST_PARENT) != 0 && !can_nest)
    return fail(EOPNOTSUPP, "this AMD IOMMU has no parents of nested tables (GTSup, GIOSup, GCR3TRPMode)");
  return plan_v1(dirty);
}

PagingPlan AmdDriver::plan_v1(bool dirty) const {
  // HATS: levels less 4; 3 is reserved.
  unsigned const levels = 4 + std::min(2u, static_cast<unsigned>(bit_field(features_, 11, 10)));
  PagingPlan plan;
  plan.format = {.format = FormatName::amd_v1,
                 .levels = levels,
                 .output_bits = host_address_width_,
                 .accessed_updates = dirty,
                 .dirty_updates = dirty};
  plan.enforces_coherency = true;
  return plan;
}

PagingPlan AmdDriver::plan_v2() const {
  bool const five = bit_field(features_, 13, 12) == 1;  // GATS
  PagingPlan plan;
  plan.format = {
      .format = FormatName::x86_64, .levels = five ? 5u : 4u, .output_bits = host_address_width_, .zero_extended = true};
  // PASID 0 has the whole space, others the halves of a canonical one: what both have.
  plan.limits.aperture = {0, low_bits(five ? 56 : 47)};
  plan.enforces_coherency = true;
  return plan;
}

}  // namespace swiommu::iommufd
