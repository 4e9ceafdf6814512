// Arm SMMUv3. The "stage 1" of the manual is our user page table, "stage 2" its parent's (hardware/smmuv3.h).
#include <algorithm>

#include "hardware/smmuv3/features.h"
#include "profile/derivation.h"
#include "profile/register_field.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu {

namespace {

using namespace smmuv3_field;

// Linux takes the smallest granule, that of its own pages, and uses no contiguous runs.
unsigned granule_lg2(std::uint64_t idr5) {
  return granule_4k.of(idr5) != 0 ? 12 : granule_16k.of(idr5) != 0 ? 14 : granule_64k.of(idr5) != 0 ? 16 : 0;
}

std::uint64_t page_sizes(unsigned granule_lg2) {
  switch (granule_lg2) {
    case 12: return bit(12) | bit(21) | bit(30);
    case 14: return bit(14) | bit(25);
    default: return bit(16) | bit(29);
  }
}

// Tables of few bits have no items of the largest size.
void offer_sizes(PagingKind& kind, unsigned granule_lg2) {
  kind.format.page_sizes = 0;
  if (auto const shape = kind.shape()) kind.format.page_sizes = shape->page_sizes & page_sizes(granule_lg2);
}

}  // namespace

Result<void> derive_smmuv3(Profile& p) {
  std::uint64_t const idr0 = p.register_value("idr0"), idr1 = p.register_value("idr1"), idr5 = p.register_value("idr5");
  bool const user = user_tables.of(idr0) != 0, parent = parent_tables.of(idr0) != 0;
  unsigned const granule = granule_lg2(idr5), widest = granule == 16 ? 52 : 48;
  unsigned const outputs = std::min(widest, smmuv3::address_bits(output_size.of(idr5)));
  if ((!user && !parent) || granule == 0 || (table_format.of(idr0) & 2) == 0)
    return fail(EINVAL,
                "no page table is possible: idr0 lacks S1P and S2P, or TTF.AArch64, or idr5 all of GRAN4K, GRAN16K, GRAN64K");
  PagingKind user_kind{.format = {.format = FormatName::arm_stage1, .granule_lg2 = granule, .output_bits = outputs}};
  user_kind.format.input_bits = wide_inputs.of(idr5) == 1 ? widest : 48;
  user_kind.enforces_coherency = coherent.of(idr0) != 0 && forced_write_back.of(p.register_value("idr3")) != 0;
  PagingKind parent_kind = user_kind;
  parent_kind.format.format = FormatName::arm_stage2;
  parent_kind.format.input_bits = outputs;
  offer_sizes(user_kind, granule);
  offer_sizes(parent_kind, granule);
  p.of(PagingUse::usual) = user ? user_kind : parent_kind;
  if (user) {
    p.of(PagingUse::pasid) = user_kind;
    if (flag_updates.of(idr0) >= 2 && coherent.of(idr0) != 0) {
      p.of(PagingUse::dirty_tracking) = user_kind;
      p.of(PagingUse::dirty_tracking)->with = IOMMU_HWPT_ALLOC_PASID;
    }
  }
  if (user && parent) {
    p.of(PagingUse::nesting_parent) = parent_kind;
    // a virtual IOMMU is safe only where guests cannot make memory non-cacheable
    if (forced_write_back.of(p.register_value("idr3")) != 0) {
      p.nested = {IOMMU_HWPT_DATA_ARM_SMMUV3, SWIOMMU_HWPT_DATA_RAW};
      p.viommus = {IOMMU_VIOMMU_TYPE_ARM_SMMUV3};
    }
  }
  auto const pasids_lg2 = static_cast<unsigned>(std::min<std::uint64_t>(20, pasid_bits.of(idr1)));
  p.max_pasids = user && pasids_lg2 != 0 ? 1u << pasids_lg2 : 0;
  p.dirty_tracking = p.of(PagingUse::dirty_tracking).has_value();
  p.ats = ats.of(idr0) != 0;
  p.page_requests = page_requests.of(idr0) != 0;
  p.pasid_exec = p.pasid_privileged = p.max_pasids != 0;
  p.reserved = {{{0x8000000, 0x80fffff}, ReservedIovas::Kind::software_msi}};
  return {};
}

}  // namespace swiommu
