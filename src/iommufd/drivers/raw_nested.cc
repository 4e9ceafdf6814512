#include "iommufd/drivers/raw_nested.h"

#include <fmt/format.h>

#include "iommufd/hwpt.h"
#include "swiommu/domain/shadow_domain.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {
namespace {

Result<FormatName> format_of(std::uint32_t format) {
  switch (format) {
    case SWIOMMU_FORMAT_VTD_SECOND_STAGE: return FormatName::vtd_second_stage;
    case SWIOMMU_FORMAT_X86_64: return FormatName::x86_64;
    case SWIOMMU_FORMAT_AMD_V1: return FormatName::amd_v1;
    case SWIOMMU_FORMAT_ARM_STAGE1: return FormatName::arm_stage1;
    case SWIOMMU_FORMAT_ARM_STAGE2: return FormatName::arm_stage2;
    case SWIOMMU_FORMAT_RISCV: return FormatName::riscv;
    case SWIOMMU_FORMAT_RISCV_X4: return FormatName::riscv_x4;
    case SWIOMMU_FORMAT_S390_ZPCI: return FormatName::s390_zpci;
    default: return fail(EINVAL, fmt::format("a page-table format {}, which there is not", format));
  }
}

Result<UserPageTable> table_of(swiommu_hwpt_raw const& data) {
  auto const format = format_of(data.format);
  if (!format) return std::unexpected(format.error());
  return UserPageTable{.format = {.format = *format,
                                  .levels = data.levels,
                                  .granule_lg2 = data.granule_lg2,
                                  .input_bits = data.input_bits,
                                  .output_bits = data.output_bits,
                                  .zero_extended = (data.flags & SWIOMMU_RAW_ZERO_EXTENDED) != 0,
                                  .accessed_updates = (data.flags & SWIOMMU_RAW_ACCESSED) != 0,
                                  .dirty_updates = (data.flags & SWIOMMU_RAW_DIRTY) != 0,
                                  .memory_attributes = data.memory_attributes},
                       .root = data.root,
                       .big_endian = (data.flags & SWIOMMU_RAW_BIG_ENDIAN) != 0};
}

Result<std::shared_ptr<Domain>> make_domain(std::shared_ptr<Domain> const& parent, UserPageTable const& table, bool shadow) {
  if (shadow) return ShadowDomain::create(parent, table);
  return NestedDomain::create(parent, table);
}

}  // namespace

Result<std::unique_ptr<DriverNested>> RawNested::create(HwptPaging& parent, UserData const& data, Caller& caller) {
  constexpr std::uint32_t known =
      SWIOMMU_RAW_BIG_ENDIAN | SWIOMMU_RAW_ACCESSED | SWIOMMU_RAW_DIRTY | SWIOMMU_RAW_ZERO_EXTENDED | SWIOMMU_RAW_SHADOW;
  auto const read = data.read<swiommu_hwpt_raw>(caller, SWIOMMU_HWPT_DATA_RAW, sizeof(swiommu_hwpt_raw));
  if (!read) return std::unexpected(read.error());
  if ((read->flags & ~known) != 0 || read->__reserved != 0)
    return fail(EOPNOTSUPP, fmt::format("a raw table with unknown flags ({:#x}) or __reserved set", read->flags & ~known));
  return guarded([&]() -> Result<std::unique_ptr<DriverNested>> {
    auto const table = table_of(*read);
    if (!table) return std::unexpected(table.error());
    auto domain = make_domain(parent.domain(), *table, (read->flags & SWIOMMU_RAW_SHADOW) != 0);
    if (!domain) return std::unexpected(std::move(domain).error());
    return std::unique_ptr<DriverNested>(new RawNested(std::move(*domain)));
  });
}

Result<std::shared_ptr<Domain>> RawNested::attach(PhysicalDevice&, HwptNested&) {
  if (domain_->kind() == DomainKind::shadow) SWIOMMU_TRY(domain_->invalidate(Range::all()));
  return domain_;
}

Result<void> RawNested::invalidate(InvalidationArray& entries) {
  if (entries.type() != SWIOMMU_HWPT_INVALIDATE_DATA_RAW) return fail(EINVAL, "invalidation data of another type than RAW");
  for (std::uint32_t n = 0; n < entries.entries(); n++) {
    auto const entry = entries.read<swiommu_hwpt_raw_invalidate>(n, sizeof(swiommu_hwpt_raw_invalidate));
    if (!entry) return std::unexpected(entry.error());
    if (entry->last < entry->start)
      return fail(EINVAL, fmt::format("entry {} is about no iovas: {:#x} to {:#x}", n, entry->start, entry->last));
    SWIOMMU_TRY(domain_->invalidate({entry->start, entry->last}));
    entries.set_done(n + 1);
  }
  return {};
}

}  // namespace swiommu::iommufd
