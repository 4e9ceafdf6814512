// Arm SMMUv3: names of fields as in IHI 0070, section 6.3.
#include "hardware/smmuv3/features.h"
#include "profile/contradiction.h"

namespace swiommu {

namespace {

using namespace smmuv3_field;

void check_kind(PagingUse use, PagingKind const& kind, Contradictions& found) {
  std::string const format = key_of(use, "format");
  switch (kind.format.format) {
    case FormatName::arm_stage1: found.require_bits(true, "idr0", user_tables, "S1P", format, "arm-lpae-s1 tables"); break;
    case FormatName::arm_stage2: found.require_bits(true, "idr0", parent_tables, "S2P", format, "arm-lpae-s2 tables"); break;
    default: found.require(false, {format}, "arm-smmuv3 has tables of arm-lpae-s1 and arm-lpae-s2");
  }
  unsigned const granule = kind.format.granule_lg2 == 0 ? 12 : kind.format.granule_lg2;
  found.require_bits(granule == 12, "idr5", granule_4k, "GRAN4K", format, "4K granules");
  found.require_bits(granule == 14, "idr5", granule_16k, "GRAN16K", format, "16K granules");
  found.require_bits(granule == 16, "idr5", granule_64k, "GRAN64K", format, "64K granules");
  auto const shape = kind.shape();
  unsigned const output = smmuv3::address_bits(found.field("idr5", output_size));
  found.require(!shape || shape->output_bits <= output, {"registers.idr5", key_of(use, "output_bits"), format},
                fmt::format("idr5 allows outputs of {} bits (OAS), and paging.{} has {}", output, name(use),
                            shape ? shape->output_bits : 0));
  found.require_bits(shape && shape->input_bits > 48, "idr5", wide_inputs, "VAX", key_of(use, "input_bits"), "52-bit inputs");
  found.require_bits(kind.enforces_coherency, "idr0", coherent, "COHACC", key_of(use, "enforces_coherency"),
                     "domains that enforce coherency");
}

}  // namespace

void check_smmuv3(Profile const& p, Contradictions& found) {
  for_each_kind(p, [&](PagingUse use, PagingKind const& kind) { check_kind(use, kind, found); });
  found.require_bits(!p.nested.empty(), "idr0", user_tables, "S1P", "nested", "nested domains");
  found.require_bits(!p.nested.empty(), "idr0", parent_tables, "S2P", "nested", "nested domains");
  found.require_bits(p.dirty_tracking, "idr0", flag_updates, "HTTU", "dirty_tracking", "dirty flags", 2);
  found.require_bits(p.dirty_tracking, "idr0", coherent, "COHACC", "dirty_tracking", "dirty flags");
  std::uint64_t const bits = found.field("idr1", pasid_bits), most = bits == 0 ? 0 : bit(static_cast<unsigned>(bits));
  found.require(p.max_pasids <= most, {"registers.idr1", "max_pasids"},
                fmt::format("idr1 allows {} PASIDs (SSIDSIZE), and max_pasids is {}", most, p.max_pasids));
  found.require_bits(p.ats, "idr0", ats, "ATS", "ats", "device TLBs (ats)");
  found.require_bits(p.page_requests, "idr0", page_requests, "PRI", "page_requests", "page requests");
}

}  // namespace swiommu
