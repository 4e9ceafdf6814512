// AMD-Vi: names of fields as in 48882, section 3.4.2.
#include "profile/contradiction.h"

namespace swiommu {

namespace {

using namespace amd_field;

void check_kind(PagingUse use, PagingKind const& kind, Contradictions& found) {
  auto const shape = kind.shape();
  if (!shape) return;
  bool const is_user = kind.format.format == FormatName::x86_64;
  found.require(is_user || (kind.format.format == FormatName::amd_v1 && kind.format.granule_lg2 != 11),
                {key_of(use, "format"), key_of(use, "granule")}, "amd has tables of amd-v1, with 4K granules, and x86-64");
  found.require_bits(is_user, "efr", user_tables, "GTSup", key_of(use, "format"), "x86-64 tables");
  std::uint64_t const most = 4 + found.field("efr", is_user ? user_levels : parent_levels);
  found.require(
      shape->levels <= most, {"registers.efr", key_of(use, "levels")},
      fmt::format("efr allows {} levels ({}), and paging.{} has {}", most, is_user ? "GATS" : "HATS", name(use), shape->levels));
}

}  // namespace

void check_amd(Profile const& p, Contradictions& found) {
  for_each_kind(p, [&](PagingUse use, PagingKind const& kind) { check_kind(use, kind, found); });
  bool const parents = p.of(PagingUse::nesting_parent).has_value();
  found.require_bits(parents, "efr", user_tables, "GTSup", "paging.nesting_parent", "nesting parents");
  found.require_bits(parents, "efr", guest_io, "GIOSup", "paging.nesting_parent", "nesting parents");
  found.require_bits(parents, "efr2", guest_directory_address, "GCR3TRPMode", "paging.nesting_parent", "nesting parents");
  found.require_bits(p.dirty_tracking, "efr", parent_dirty, "HDSup", "dirty_tracking", "dirty flags");
  found.require_bits(p.max_pasids != 0, "efr", user_tables, "GTSup", "max_pasids", "PASIDs");
  std::uint64_t const most = 2ull << found.field("efr", greatest_pasid);
  found.require(p.max_pasids <= most, {"registers.efr", "max_pasids"},
                fmt::format("efr allows {} PASIDs (PASmax), and max_pasids is {}", most, p.max_pasids));
  found.require_bits(p.page_requests, "efr", page_requests, "PPRSup", "page_requests", "page requests");
}

}  // namespace swiommu
