// Intel VT-d. Linux prefers the table of PASIDs for whatever it can express: the other one is for parents, and for dirty flags.
// Parents refuse mappings that cannot be written, for an erratum that Linux sees in all units.
#include <algorithm>

#include "profile/derivation.h"
#include "profile/register_field.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu {

namespace {

using namespace vtd_field;

constexpr std::uint64_t size_4k = bit(12), size_2m = bit(21), size_1g = bit(30);

PagingKind user_kind(std::uint64_t cap, unsigned host_width) {
  auto const width = static_cast<unsigned>(greatest_width.of(cap)) + 1;
  bool const five = width > 48 && user_5_levels.of(cap) != 0;
  PagingKind kind{.format = {.format = FormatName::x86_64, .levels = five ? 5u : 4u, .output_bits = host_width}};
  kind.format.page_sizes = size_4k | size_2m | (user_1g_pages.of(cap) != 0 ? size_1g : 0);
  if (width < (five ? 57 : 48)) kind.aperture = Range{0, low_bits(width - 1)};  // the lower half of a narrower space
  return kind;
}

// The largest space that both registers allow, in the smallest table that holds it.
std::optional<PagingKind> parent_kind(std::uint64_t cap, unsigned host_width) {
  auto const width = static_cast<unsigned>(greatest_width.of(cap)) + 1;
  auto const widths = address_widths.of(cap) & 0b1110;  // bit n: n + 2 levels
  for (unsigned const levels : {5u, 4u, 3u}) {
    unsigned const space = 12 + 9 * levels;
    if (width <= space - 9 || widths < bit(levels - 2)) continue;
    unsigned tall = levels;
    while (tall < 5 && (widths & bit(tall - 2)) == 0) tall++;
    PagingKind kind{.format = {.format = FormatName::vtd_second_stage, .levels = tall, .output_bits = host_width}};
    kind.format.page_sizes =
        size_4k | ((large_pages.of(cap) & 1) != 0 ? size_2m : 0) | ((large_pages.of(cap) & 2) != 0 ? size_1g : 0);
    if (std::min(space, width) < 12 + 9 * tall) kind.aperture = Range{0, low_bits(std::min(space, width))};
    return kind;
  }
  return std::nullopt;
}

}  // namespace

Result<void> derive_vtd(Profile& p) {
  std::uint64_t const cap = p.register_value("cap"), ecap = p.register_value("ecap");
  bool const modern = scalable.of(ecap) != 0;
  auto const with_tables = [&](RegisterField field) { return modern && field.of(ecap) != 0; };
  std::uint32_t const dirty = with_tables(parent_flags) ? IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0;
  if (with_tables(user_tables)) {
    p.of(PagingUse::usual) = user_kind(cap, p.host_address_width);
    p.of(PagingUse::usual)->with = IOMMU_HWPT_ALLOC_PASID;
  }
  if (auto kind = parent_kind(cap, p.host_address_width); kind && (!modern || with_tables(parent_tables))) {
    kind->with = IOMMU_HWPT_ALLOC_PASID;
    if (!p.of(PagingUse::usual)) p.of(PagingUse::usual) = kind;
    if (dirty != 0) p.of(PagingUse::dirty_tracking) = kind;
    if (with_tables(nested)) {
      kind->with |= dirty;
      kind->writable_only = true;
      p.of(PagingUse::nesting_parent) = kind;
      if (with_tables(user_tables)) p.nested = {IOMMU_HWPT_DATA_VTD_S1, SWIOMMU_HWPT_DATA_RAW};
    }
  }
  if (!p.of(PagingUse::usual))
    return fail(EINVAL, "no page table is possible: neither ecap.FSTS nor widths in cap (MGAW, SAGAW) that go together");
  for (auto& kind : p.paging)
    if (kind) kind->enforces_coherency = snoop_control.of(ecap) != 0;
  p.max_pasids = with_tables(pasid) ? 2u << std::min<std::uint64_t>(19, pasid_size.of(ecap)) : 0;
  p.dirty_tracking = p.of(PagingUse::dirty_tracking).has_value();
  p.ats = device_tlb.of(ecap) != 0;
  p.page_requests = page_requests.of(ecap) != 0;
  p.pasid_exec = p.pasid_privileged = p.max_pasids != 0;
  p.reserved = {x86_interrupts};
  return {};
}

}  // namespace swiommu
