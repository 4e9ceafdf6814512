#include "profile/contradiction.h"

#include <algorithm>

#include "profile/value_names.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu {

namespace {

constexpr std::uint32_t greatest_pasids = 1 << 20;

std::uint32_t flag_of(PagingUse use) {
  switch (use) {
    case PagingUse::dirty_tracking: return IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    case PagingUse::nesting_parent: return IOMMU_HWPT_ALLOC_NEST_PARENT;
    case PagingUse::pasid: return IOMMU_HWPT_ALLOC_PASID;
    case PagingUse::usual:
    case PagingUse::huge: break;
  }
  return 0;
}

void check_kind(PagingUse use, PagingKind const& kind, Contradictions& found) {
  std::string const key = fmt::format("paging.{}", name(use));
  auto const shape = kind.shape();
  if (!shape) {
    found.require(false, {key + ".levels", key + ".page_sizes", key + ".format", "host_address_width", key}, shape.error().about);
    return;
  }
  if (kind.aperture) {
    found.require(shape->contains(*kind.aperture), {key + ".aperture", key + ".levels", key + ".format"},
                  fmt::format("the aperture [{:#x}, {:#x}] is not within the table's inputs [{:#x}, {:#x}]", kind.aperture->start,
                              kind.aperture->last, shape->lower.start, shape->lower.last));
  }
  found.require(shape->smallest_page_lg2() <= 12, {key + ".page_sizes", key + ".format"},
                fmt::format("the smallest page has {}; address spaces need pages of 4K, or smaller ones",
                            size_text(shape->smallest_page_lg2())));
  std::uint32_t const own = flag_of(use);
  found.require((kind.with & own) == 0, {key + ".with"}, fmt::format("{} is what this kind is for", hwpt_flags_text(own)));
  FormatConfiguration dirty = kind.format;
  dirty.accessed_updates = dirty.dirty_updates = true;
  if (((kind.with | own) & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0) {
    auto const tracking = PagingKind{.format = dirty}.shape();
    found.require(tracking && tracking->tracks_dirty, {key + ".with", key + ".format", key},
                  "a table of this format keeps no dirty flags");
  }
}

Hardware hardware_of_nested(std::uint32_t type) {
  switch (type) {
    case IOMMU_HWPT_DATA_VTD_S1: return Hardware::intel_vtd;
    case IOMMU_HWPT_DATA_ARM_SMMUV3: return Hardware::arm_smmuv3;
    case IOMMU_HWPT_DATA_AMD_GUEST: return Hardware::amd;
    case SWIOMMU_HWPT_DATA_RISCV: return Hardware::riscv;
    case SWIOMMU_HWPT_DATA_ZPCI: return Hardware::s390_zpci;
    default: return Hardware::kernel_selftest;
  }
}

Hardware hardware_of_viommu(std::uint32_t type) {
  switch (type) {
    case IOMMU_VIOMMU_TYPE_ARM_SMMUV3:
    case IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: return Hardware::arm_smmuv3;
    case SWIOMMU_VIOMMU_TYPE_AMD: return Hardware::amd;
    case SWIOMMU_VIOMMU_TYPE_RISCV: return Hardware::riscv;
    default: return Hardware::kernel_selftest;
  }
}

// Nested domains that are made on virtual IOMMUs.
struct OnViommu {
  std::uint32_t nested, viommu;
};
constexpr OnViommu on_viommus[] = {{IOMMU_HWPT_DATA_ARM_SMMUV3, IOMMU_VIOMMU_TYPE_ARM_SMMUV3},
                                   {IOMMU_HWPT_DATA_AMD_GUEST, SWIOMMU_VIOMMU_TYPE_AMD},
                                   {SWIOMMU_HWPT_DATA_RISCV, SWIOMMU_VIOMMU_TYPE_RISCV}};

void check_nesting(Profile const& p, Contradictions& found) {
  auto const foreign = [&](char const* what) { return fmt::format("{} has no {}", name(p.hardware), what); };
  for (std::uint32_t const type : p.nested)
    found.require(hardware_of_nested(type) == p.hardware || type == SWIOMMU_HWPT_DATA_RAW, {"nested"},
                  foreign("nested domains of this type"));
  for (std::uint32_t const type : p.viommus)
    found.require(hardware_of_viommu(type) == p.hardware, {"viommus"}, foreign("virtual IOMMUs of this type"));
  found.require(p.nested.empty() || p.choose_paging(IOMMU_HWPT_ALLOC_NEST_PARENT), {"nested", "paging.nesting_parent", "paging"},
                "there are nested domains, but no paging domain that can be their parent");
  found.require(p.viommus.empty() || p.choose_paging(IOMMU_HWPT_ALLOC_NEST_PARENT),
                {"viommus", "paging.nesting_parent", "paging"},
                "there are virtual IOMMUs, but no paging domain that can be their parent");
  for (auto const& [nested, viommu] : on_viommus)
    found.require(!p.makes_nested(nested) || p.makes_viommus(viommu), {"viommus", "nested"},
                  fmt::format("nested domains of {} are made on a virtual IOMMU, and there is none", name(p.hardware)));
}

void check_reserved(Profile const& p, Contradictions& found) {
  using Kind = ReservedIovas::Kind;
  auto const count = [&](Kind kind) { return std::ranges::count(p.reserved, kind, &ReservedIovas::kind); };
  for (ReservedIovas const& each : p.reserved)
    found.require(each.iovas.start <= each.iovas.last, {"reserved"}, "a reserved range ends before it starts");
  found.require(count(Kind::software_msi) <= 1, {"reserved"}, "there can be only one range for software MSIs");
  found.require(count(Kind::software_msi) == 0 || count(Kind::hardware_msi) == 0, {"reserved"},
                "MSIs are either the hardware's or the software's");
}

}  // namespace

std::optional<Contradiction> find_contradiction(Profile const& p) {
  Contradictions found(p);
  if (!p.of(PagingUse::usual)) return Contradiction{{"paging.usual", "paging"}, "there must be a usual kind of paging domain"};
  for_each_kind(p, [&](PagingUse use, PagingKind const& kind) { check_kind(use, kind, found); });
  if (auto contradiction = found.take()) return contradiction;
  found.require(!p.of(PagingUse::huge) || p.hardware == Hardware::kernel_selftest, {"paging.huge"},
                "only kernel-selftest can be asked for this kind");
  found.require(!p.dirty_tracking || p.choose_paging(IOMMU_HWPT_ALLOC_DIRTY_TRACKING),
                {"dirty_tracking", "paging.dirty_tracking", "paging"},
                "dirty tracking needs a kind of paging domain that has it");
  found.require(p.max_pasids <= greatest_pasids, {"max_pasids"}, "there are 1M PASIDs at most");
  check_nesting(p, found);
  check_reserved(p, found);
  switch (p.hardware) {
    case Hardware::intel_vtd: check_vtd(p, found); break;
    case Hardware::arm_smmuv3: check_smmuv3(p, found); break;
    case Hardware::amd: check_amd(p, found); break;
    case Hardware::riscv:
    case Hardware::s390_zpci:
    case Hardware::kernel_selftest: break;
  }
  return found.take();
}

}  // namespace swiommu
