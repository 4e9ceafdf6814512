// Intel VT-d: names of fields as in the manual, sections 11.4.2 and 11.4.3.
#include "profile/contradiction.h"

namespace swiommu {

namespace {

using namespace vtd_field;

// A table of PASIDs, in scalable mode only.
void check_user_format(PagingUse use, TableShape const& shape, Contradictions& found) {
  std::string const format = key_of(use, "format");
  found.require_bits(true, "ecap", scalable, "SMTS", format, "x86-64 tables");
  found.require_bits(true, "ecap", user_tables, "FSTS", format, "x86-64 tables");
  found.require_bits(shape.levels == 5, "cap", user_5_levels, "FS5LP", key_of(use, "levels"), "x86-64 tables of 5 levels");
  found.require_bits((shape.page_sizes & bit(30)) != 0, "cap", user_1g_pages, "FS1GP", key_of(use, "page_sizes"),
                     "1G pages in x86-64 tables");
}

void check_parent_format(PagingUse use, PagingKind const& kind, TableShape const& shape, Contradictions& found) {
  found.require_bits(found.field("ecap", scalable) != 0, "ecap", parent_tables, "SSTS", key_of(use, "format"),
                     "VT-d second-stage tables in scalable mode");
  found.require_bits(true, "cap", address_widths, "SAGAW", key_of(use, "levels"),
                     fmt::format("VT-d second-stage tables of {} levels", shape.levels), bit(shape.levels - 2));
  found.require_bits((shape.page_sizes & bit(21)) != 0, "cap", large_pages, "SSLPS", key_of(use, "page_sizes"), "2M pages", 1);
  found.require_bits((shape.page_sizes & bit(30)) != 0, "cap", large_pages, "SSLPS", key_of(use, "page_sizes"), "1G pages", 2);
  std::uint64_t const last = low_bits(static_cast<unsigned>(found.field("cap", greatest_width)) + 1);
  found.require(kind.inputs().last <= last, {"registers.cap", key_of(use, "aperture"), key_of(use, "levels")},
                fmt::format("cap allows iovas up to {:#x} (MGAW), and paging.{} takes them up to {:#x}", last, name(use),
                            kind.inputs().last));
}

}  // namespace

void check_vtd(Profile const& p, Contradictions& found) {
  for_each_kind(p, [&](PagingUse use, PagingKind const& kind) {
    auto const shape = kind.shape();
    if (!shape) return;
    if (kind.format.format == FormatName::x86_64)
      check_user_format(use, *shape, found);
    else if (kind.format.format == FormatName::vtd_second_stage)
      check_parent_format(use, kind, *shape, found);
    else
      found.require(false, {key_of(use, "format")}, "intel-vtd has tables of vtd-second-stage and x86-64");
    found.require_bits(kind.enforces_coherency, "ecap", snoop_control, "SC", key_of(use, "enforces_coherency"),
                       "domains that enforce coherency");
  });
  found.require_bits(!p.nested.empty(), "ecap", scalable, "SMTS", "nested", "nested domains");
  found.require_bits(!p.nested.empty(), "ecap", nested, "NEST", "nested", "nested domains");
  found.require_bits(!p.nested.empty(), "ecap", user_tables, "FSTS", "nested", "nested domains");
  found.require_bits(p.dirty_tracking, "ecap", parent_flags, "SSADS", "dirty_tracking", "dirty flags");
  found.require_bits(p.max_pasids != 0, "ecap", pasid, "PASID", "max_pasids", "PASIDs");
  std::uint64_t const most = 2ull << found.field("ecap", pasid_size);
  found.require(p.max_pasids <= most, {"registers.ecap", "max_pasids"},
                fmt::format("ecap allows {} PASIDs (PSS), and max_pasids is {}", most, p.max_pasids));
  found.require_bits(p.ats, "ecap", device_tlb, "DT", "ats", "device TLBs (ats)");
  found.require_bits(p.page_requests, "ecap", page_requests, "PRS", "page_requests", "page requests");
}

}  // namespace swiommu
