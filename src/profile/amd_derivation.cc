// AMD-Vi. Linux 7.2 has parents and the data of nested domains, and no virtual IOMMU to make them on; here there is one.
#include <algorithm>

#include "profile/derivation.h"
#include "profile/register_field.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu {

namespace {

using namespace amd_field;

constexpr ReservedIovas hyper_transport{{0xfd00000000, 0xffffffffff}, ReservedIovas::Kind::reserved};

}  // namespace

Result<void> derive_amd(Profile& p) {
  std::uint64_t const efr = p.register_value("efr"), efr2 = p.register_value("efr2");
  // Linux says that all its tables enforce coherency.
  PagingKind host{.format = {.format = FormatName::amd_v1,
                             .levels = 4 + static_cast<unsigned>(std::min<std::uint64_t>(2, parent_levels.of(efr))),
                             .output_bits = p.host_address_width},
                  .enforces_coherency = true};
  p.of(PagingUse::usual) = host;
  bool const guest = user_tables.of(efr) != 0;
  std::uint32_t const dirty = parent_dirty.of(efr) != 0 ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0;
  if (dirty != 0) p.of(PagingUse::dirty_tracking) = host;
  if (guest && guest_io.of(efr) != 0 && guest_directory_address.of(efr2) != 0) {
    host.with = dirty;
    p.of(PagingUse::nesting_parent) = host;
    p.nested = {IOMMU_HWPT_DATA_AMD_GUEST, SWIOMMU_HWPT_DATA_RAW};
    p.viommus = {SWIOMMU_VIOMMU_TYPE_AMD};
  }
  if (guest && page_requests.of(efr) != 0) {
    bool const five = user_levels.of(efr) == 1;
    // A device's own requests have the whole space, PASIDs the halves of a canonical one: what both have.
    p.of(PagingUse::pasid) = PagingKind{.format = {.format = FormatName::x86_64,
                                                   .levels = five ? 5u : 4u,
                                                   .output_bits = p.host_address_width,
                                                   .zero_extended = true,
                                                   .page_sizes = bit(12) | bit(21) | bit(30)},
                                        .aperture = Range{0, low_bits(five ? 56 : 47)},
                                        .enforces_coherency = true};
    p.max_pasids =
        static_cast<std::uint32_t>((2ull << std::min<std::uint64_t>(19, greatest_pasid.of(efr))) - 1);  // as Linux counts
  }
  p.dirty_tracking = dirty != 0;
  p.ats = true;
  p.page_requests = page_requests.of(efr) != 0;
  p.pasid_exec = p.pasid_privileged = p.max_pasids != 0;
  p.reserved = {x86_interrupts, hyper_transport};
  return {};
}

}  // namespace swiommu
