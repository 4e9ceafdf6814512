#include "swiommu/profile/profile.h"

#include <fmt/format.h>

#include <algorithm>

#include "page_table/formats/all_formats.h"
#include "page_table/typed_page_table.h"
#include "profile/derivation.h"
#include "profile/value_names.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu {

namespace {

struct UseOfFlag {
  PagingUse use;
  std::uint32_t flag;
};
// The first that is asked for decides.
constexpr UseOfFlag by_flag[] = {{PagingUse::nesting_parent, IOMMU_HWPT_ALLOC_NEST_PARENT},
                                 {PagingUse::dirty_tracking, IOMMU_HWPT_ALLOC_DIRTY_TRACKING},
                                 {PagingUse::pasid, IOMMU_HWPT_ALLOC_PASID}};

}  // namespace

std::string_view name(Hardware hardware) {
  constexpr std::string_view names[] = {"intel-vtd", "arm-smmuv3", "amd", "riscv", "s390-zpci", "kernel-selftest"};
  return names[static_cast<std::size_t>(hardware)];
}

std::string_view name(PagingUse use) {
  constexpr std::string_view names[paging_uses] = {"usual", "dirty_tracking", "nesting_parent", "pasid", "huge"};
  return names[static_cast<std::size_t>(use)];
}

Result<TableShape> PagingKind::shape() const {
  return guarded([&] {
    return with_format<TableShape>(format, [](auto const& of_type) -> Result<TableShape> { return shape_of(of_type); });
  });
}

Range PagingKind::inputs() const {
  if (aperture) return *aperture;
  auto const table = shape();
  return table ? table->lower : Range::all();
}

Result<PagingKind> Profile::choose_paging(std::uint32_t flags, PagingUse otherwise) const {
  return guarded([&]() -> Result<PagingKind> {
    auto const refuse = [&] {
      return fail(EOPNOTSUPP, fmt::format("{} has no paging domains for {}", name, hwpt_flags_text(flags)));
    };
    std::optional<PagingKind> const* kind = &of(otherwise);
    std::uint32_t besides = flags;
    for (UseOfFlag const& row : by_flag)
      if ((flags & row.flag) != 0 && of(row.use)) {
        kind = &of(row.use);
        besides = flags & ~row.flag;
        break;
      }
    if (!*kind || (besides & ~(*kind)->with) != 0) return refuse();
    bool const tracks = (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0;
    if (tracks && !dirty_tracking) return refuse();
    PagingKind chosen = **kind;
    if (tracks) chosen.format.accessed_updates = chosen.format.dirty_updates = true;
    return chosen;
  });
}

Result<void> Profile::derive() {
  return guarded([&]() -> Result<void> {
    Profile fresh{.name = name,
                  .description = description,
                  .hardware = hardware,
                  .registers = registers,
                  .host_address_width = host_address_width};
    switch (hardware) {
      case Hardware::intel_vtd: SWIOMMU_TRY(derive_vtd(fresh)); break;
      case Hardware::arm_smmuv3: SWIOMMU_TRY(derive_smmuv3(fresh)); break;
      case Hardware::amd: SWIOMMU_TRY(derive_amd(fresh)); break;
      case Hardware::riscv: SWIOMMU_TRY(derive_riscv(fresh)); break;
      case Hardware::s390_zpci: SWIOMMU_TRY(derive_zpci(fresh)); break;
      case Hardware::kernel_selftest: SWIOMMU_TRY(derive_selftest(fresh)); break;
    }
    *this = std::move(fresh);
    return {};
  });
}

bool Profile::makes_nested(std::uint32_t data_type) const { return std::ranges::find(nested, data_type) != nested.end(); }
bool Profile::makes_viommus(std::uint32_t type) const { return std::ranges::find(viommus, type) != viommus.end(); }

}  // namespace swiommu
