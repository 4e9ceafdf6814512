// RISC-V and zPCI, where Linux 7.2 offers paging domains and nothing else, and nested ones are ours; and the model of Linux'
// selftests.
#include "profile/derivation.h"
#include "profile/register_field.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu {

Result<void> derive_riscv(Profile& p) {
  using namespace riscv_field;
  std::uint64_t const capabilities = p.register_value("capabilities");
  unsigned const levels = sv57.of(capabilities) != 0 ? 5 : sv48.of(capabilities) != 0 ? 4 : sv39.of(capabilities) != 0 ? 3 : 0;
  if (levels == 0) return fail(EINVAL, "no page table is possible: capabilities has none of Sv39, Sv48, Sv57");
  p.of(PagingUse::usual) = PagingKind{.format = {.format = FormatName::riscv,
                                                 .levels = levels,
                                                 .output_bits = p.host_address_width,
                                                 .svpbmt = memory_types.of(capabilities) != 0}};
  unsigned const under = sv57x4.of(capabilities) != 0   ? 5
                         : sv48x4.of(capabilities) != 0 ? 4
                         : sv39x4.of(capabilities) != 0 ? 3
                                                        : 0;
  if (under == 0) return {};
  PagingKind parent = *p.of(PagingUse::usual);
  parent.format.format = FormatName::riscv_x4;
  parent.format.levels = under;
  p.of(PagingUse::nesting_parent) = parent;
  p.nested = {SWIOMMU_HWPT_DATA_RISCV, SWIOMMU_HWPT_DATA_RAW};
  p.viommus = {SWIOMMU_VIOMMU_TYPE_RISCV};
  return {};
}

// The smallest table that the DMA range of the functions needs.
Result<void> derive_zpci(Profile& p) {
  std::uint64_t const first = p.register_value("sdma"), last = p.register_value("edma");
  if (first >= last) return fail(EINVAL, "no page table is possible: edma is not above sdma");
  unsigned const levels = last <= low_bits(42) ? 3 : last <= low_bits(53) ? 4 : 5;
  std::uint64_t const table_last = levels == 5 ? ~std::uint64_t{0} : low_bits(levels == 4 ? 53 : 42);
  p.of(PagingUse::usual) =
      PagingKind{.format = {.format = FormatName::s390_zpci, .levels = levels, .output_bits = p.host_address_width}};
  p.of(PagingUse::nesting_parent) = p.of(PagingUse::usual);
  p.nested = {SWIOMMU_HWPT_DATA_ZPCI, SWIOMMU_HWPT_DATA_RAW};
  if (first != 0) p.reserved.push_back({{0, first - 1}, ReservedIovas::Kind::reserved});
  if (last < table_last) p.reserved.push_back({{last + 1, table_last}, ReservedIovas::Kind::reserved});
  return {};
}

// Numbers of Linux' drivers/iommu/iommufd/iommufd_test.h. Leaves as src/iommufd/selftest/kernel_version.h explains them.
Result<void> derive_selftest(Profile& p) {
  PagingKind const kind{
      .format = {.format = FormatName::amd_v1, .levels = 5, .granule_lg2 = 11, .output_bits = 51, .page_sizes = bit(11)},
      .with = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID};
  p.of(PagingUse::usual) = p.of(PagingUse::huge) = kind;
  p.of(PagingUse::usual)->aperture = Range{bit(24), bit(31) - 1};
  p.of(PagingUse::huge)->format.page_sizes = bit(20) | bit(12);
  p.leaves_span_pages = false;
  p.nested = {0xdead};
  p.viommus = {0xdeadbeef};
  p.max_pasids = 1 << 20;
  p.dirty_tracking = true;
  return {};
}

}  // namespace swiommu
