#include "iommufd/drivers/vtd.h"

#include <fmt/format.h>

#include <limits>

#include "iommufd/hwpt.h"
#include "profile/register_field.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

constexpr unsigned page_lg2 = 12;

// A user's VT-d first-stage table, on a paging HWPT.
class VtdNested final : public DriverNested {
 public:
  VtdNested(Profile const& profile, iommu_hwpt_vtd_s1 const& data, std::shared_ptr<NestedDomain> domain)
      : profile_(profile), data_(data), domain_(std::move(domain)) {}

  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, HwptNested& hwpt) override;
  [[nodiscard]] bool invalidates() const override { return true; }
  Result<void> invalidate(InvalidationArray& entries) override {
    if (entries.type() != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) return fail(EINVAL, "invalidation data of another type than VTD_S1");
    for (std::uint32_t n = 0; n < entries.entries(); n++) {
      auto const entry = entries.read<iommu_hwpt_vtd_s1_invalidate>(n, sizeof(iommu_hwpt_vtd_s1_invalidate));
      if (!entry) return std::unexpected(entry.error());
      if ((entry->flags & ~std::uint32_t{IOMMU_VTD_INV_FLAGS_LEAF}) != 0 || entry->__reserved != 0)
        return fail(EOPNOTSUPP, fmt::format("entry {} has unknown flags or __reserved set", n));
      bool const all = entry->npages == std::numeric_limits<std::uint64_t>::max();
      if (entry->addr % bit(page_lg2) != 0 || (all && entry->addr != 0))
        return fail(EINVAL, fmt::format("entry {} is about no whole pages, {:#x}", n, entry->addr));
      SWIOMMU_TRY(invalidate(entry->addr, entry->npages, all));
      entries.set_done(n + 1);
    }
    return {};
  }

 private:
  Result<void> invalidate(std::uint64_t address, std::uint64_t pages, bool all) {
    if (!domain_ || (pages == 0 && !all)) return {};
    auto const range = all || pages > bit(64 - page_lg2) - 1 ? std::nullopt : Range::of_length(address, pages << page_lg2);
    return domain_->invalidate(range.value_or(Range::all()));
  }

  Profile const& profile_;  // of the driver, which the HWPT keeps
  iommu_hwpt_vtd_s1 const data_;
  std::shared_ptr<NestedDomain> const domain_;  // nothing: a width that no hardware has
};

// What the user's data say is looked at when it is used, not before.
Result<std::shared_ptr<Domain>> VtdNested::attach(PhysicalDevice&, HwptNested& hwpt) {
  std::uint64_t const cap = profile_.register_value("cap"), ecap = profile_.register_value("ecap");
  if (!domain_ || (data_.addr_width == 57 && vtd_field::user_5_levels.of(cap) == 0))
    return fail(EINVAL, fmt::format("HWPT {}: this VT-d unit has no tables of {} bits", hwpt.id(), data_.addr_width));
  if ((data_.flags & IOMMU_VTD_S1_SRE) != 0 && vtd_field::supervisor_requests.of(ecap) == 0)
    return fail(EINVAL, fmt::format("HWPT {}: this VT-d unit has no supervisor requests (ECAP.SRS)", hwpt.id()));
  if ((data_.flags & IOMMU_VTD_S1_EAFE) != 0 && vtd_field::extended_accessed_flag.of(ecap) == 0)
    return fail(EINVAL, fmt::format("HWPT {}: this VT-d unit has no extended accessed flags (ECAP.EAFS)", hwpt.id()));
  return domain_;
}

}  // namespace

Result<std::unique_ptr<DriverNested>> VtdDriver::make_nested(PhysicalDevice const&, HwptPaging& parent, std::uint32_t,
                                                             UserData const& data, Caller& caller) {
  if (!profile().makes_nested(IOMMU_HWPT_DATA_VTD_S1)) return fail(EOPNOTSUPP, "this VT-d unit has no nested translation");
  if (data.type != IOMMU_HWPT_DATA_VTD_S1) return fail(EOPNOTSUPP, fmt::format("data of type {}, not VTD_S1", data.type));
  auto const read = data.read<iommu_hwpt_vtd_s1>(caller, IOMMU_HWPT_DATA_VTD_S1, sizeof(iommu_hwpt_vtd_s1));
  if (!read) return std::unexpected(read.error());
  std::shared_ptr<NestedDomain> domain;
  if (read->addr_width == 48 || read->addr_width == 57) {
    // Accessed and dirty flags are always set in first-stage tables (section 3.6.2).
    UserPageTable const table{.format = {.format = FormatName::x86_64,
                                         .levels = read->addr_width == 57 ? 5u : 4u,
                                         .accessed_updates = true,
                                         .dirty_updates = true},
                              .root = read->pgtbl_addr & bit_span(63, page_lg2)};
    auto made = NestedDomain::create(parent.domain(), table);
    if (!made) return std::unexpected(std::move(made).error());
    domain = std::move(*made);
  }
  return std::make_unique<VtdNested>(profile(), *read, std::move(domain));
}

}  // namespace swiommu::iommufd
