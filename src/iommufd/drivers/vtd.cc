#include "iommufd/drivers/vtd.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "iommufd/hardware_information.h"
#include "iommufd/hwpt.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

// Bits of ECAP.
constexpr unsigned snoop_control = 7, nested = 26, supervisor_request = 31, extended_accessed_flag = 34, pasids = 40,
                   scalable_mode = 43, second_stage_dirty = 45, second_stage = 46, first_stage = 47;
constexpr unsigned five_levels = 60;  // of CAP: FS5LP
constexpr unsigned page_lg2 = 12;

// A user's VT-d first-stage table, on a paging HWPT.
class VtdNested final : public DriverNested {
 public:
  VtdNested(iommu_hwpt_vtd_s1 const& data, std::shared_ptr<NestedDomain> domain) : data_(data), domain_(std::move(domain)) {}

  [[nodiscard]] iommu_hwpt_vtd_s1 const& data() const { return data_; }
  [[nodiscard]] std::shared_ptr<NestedDomain> const& domain() const { return domain_; }

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

  iommu_hwpt_vtd_s1 const data_;
  std::shared_ptr<NestedDomain> const domain_;  // nothing: a width that no hardware has
};

}  // namespace

VtdDriver::VtdDriver(vtd::Registers const& registers)
    : cap_(registers.capability.value_or(0)),
      ecap_(registers.extended_capability.value_or(0)),
      host_address_width_(registers.host_address_width) {}

bool VtdDriver::scalable() const { return has(scalable_mode); }

DeviceCapabilities VtdDriver::usable(DeviceCapabilities const& device) const {
  DeviceCapabilities usable = device;
  usable.dirty_tracking &= scalable() && has(second_stage_dirty);
  usable.set_pasid &= scalable() && has(pasids);
  return usable;
}

std::vector<ReservedRegion> VtdDriver::reserved() const { return {{x86_interrupt_range, ReservedRegion::Kind::hardware_msi}}; }

Result<HardwareInfo> VtdDriver::hardware_info(PhysicalDevice const&, std::uint32_t type) const {
  iommu_hw_info_vtd info{};
  info.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17;  // Linux says so whatever the hardware
  info.cap_reg = cap_;
  info.ecap_reg = ecap_;
  return information(IOMMU_HW_INFO_TYPE_INTEL_VTD, info, type);
}

Result<PagingPlan> VtdDriver::plan_paging(PhysicalDevice const&, std::uint32_t flags, std::optional<UserData> const& data,
                                          Caller*) const {
  if (data) return fail(EOPNOTSUPP, "paging HWPTs of VT-d take no data");
  bool const first = (flags & ~std::uint32_t{IOMMU_HWPT_ALLOC_PASID}) == 0 && scalable() && has(first_stage);
  return first ? plan_first_stage(flags) : plan_second_stage(flags);
}

Result<PagingPlan> VtdDriver::plan_first_stage(std::uint32_t) const {
  auto const guest_width = static_cast<unsigned>(bit_field(cap_, 21, 16)) + 1;  // MGAW
  bool const five = guest_width > 48 && bit_field(cap_, five_levels, five_levels) != 0;
  unsigned const width = std::min(five ? 57u : 48u, guest_width);
  PagingPlan plan;
  plan.format = {.format = FormatName::x86_64, .levels = five ? 5u : 4u, .output_bits = host_address_width_};
  plan.limits.aperture = {0, low_bits(width - 1)};  // the lower half of a canonical space
  plan.enforces_coherency = has(snoop_control);
  return plan;
}

Result<PagingPlan> VtdDriver::plan_second_stage(std::uint32_t flags) const {
  bool const dirty = (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0;
  if ((flags & IOMMU_HWPT_ALLOC_NEST_PARENT) != 0 && !(scalable() && has(nested)))
    return fail(EOPNOTSUPP, "this VT-d unit has no nested translation (ECAP.NEST)");
  if (dirty && !(scalable() && has(second_stage_dirty)))
    return fail(EOPNOTSUPP, "this VT-d unit has no dirty flags (ECAP.SSADS)");
  if (scalable() && !has(second_stage)) return fail(EOPNOTSUPP, "this VT-d unit has no second-stage tables (ECAP.SSTS)");
  auto const guest_width = static_cast<unsigned>(bit_field(cap_, 21, 16)) + 1;  // MGAW
  auto const widths = bit_field(cap_, 12, 8);                                   // SAGAW: bit n: n + 2 levels
  // The largest space that both allow, in the smallest table that holds it.
  for (unsigned const levels : {5u, 4u, 3u}) {
    unsigned const space = std::min(12 + 9 * levels, 57u), below = space - 9;
    if (guest_width <= below || widths < bit(levels - 2)) continue;
    unsigned tall = levels;
    while (tall < 5 && (widths & bit(tall - 2)) == 0) tall++;
    PagingPlan plan;
    plan.format = {.format = FormatName::vtd_second_stage,
                   .levels = tall,
                   .output_bits = host_address_width_,
                   .accessed_updates = dirty,
                   .dirty_updates = dirty};
    plan.limits.aperture = {0, low_bits(std::min(space, guest_width))};
    plan.enforces_coherency = has(snoop_control);
    return plan;
  }
  return fail(EINVAL, "this VT-d unit has no address widths that go together (CAP.MGAW, CAP.SAGAW)");
}

Result<std::unique_ptr<DriverNested>> VtdDriver::make_nested(PhysicalDevice const&, HwptPaging& parent, std::uint32_t,
                                                             UserData const& data, Caller& caller) {
  if (!scalable() || !has(nested)) return fail(EOPNOTSUPP, "this VT-d unit has no nested translation (ECAP.NEST)");
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
  return std::make_unique<VtdNested>(*read, std::move(domain));
}

// What the user's data say is looked at when it is used, not before.
Result<std::shared_ptr<Domain>> VtdDriver::attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt,
                                                  Hwpt const* old) {
  if (hwpt.type() != ObjectType::hwpt_nested) return Driver::attach(device, pasid, hwpt, old);
  auto& half = static_cast<VtdNested&>(static_cast<HwptNested&>(hwpt).nested());
  iommu_hwpt_vtd_s1 const& data = half.data();
  if (!half.domain() || (data.addr_width == 57 && bit_field(cap_, five_levels, five_levels) == 0))
    return fail(EINVAL, fmt::format("HWPT {}: this VT-d unit has no tables of {} bits", hwpt.id(), data.addr_width));
  if ((data.flags & IOMMU_VTD_S1_SRE) != 0 && !has(supervisor_request))
    return fail(EINVAL, fmt::format("HWPT {}: this VT-d unit has no supervisor requests (ECAP.SRS)", hwpt.id()));
  if ((data.flags & IOMMU_VTD_S1_EAFE) != 0 && !has(extended_accessed_flag))
    return fail(EINVAL, fmt::format("HWPT {}: this VT-d unit has no extended accessed flags (ECAP.EAFS)", hwpt.id()));
  return half.domain();
}

}  // namespace swiommu::iommufd
