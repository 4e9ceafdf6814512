#include "iommufd/drivers/zpci_nested.h"

#include <fmt/format.h>

#include "iommufd/hwpt.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/hardware/zpci.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {
namespace {

Result<std::shared_ptr<Domain>> make_domain(std::shared_ptr<Domain> const& parent, DeviceConfiguration const& configuration) {
  if (configuration.kind == DeviceConfiguration::Kind::bypass) return open_configuration(parent, configuration);
  return ShadowDomain::create(parent, *configuration.user, {configuration.aperture, configuration.rights});
}

}  // namespace

Result<std::unique_ptr<DriverNested>> ZpciNested::create(HwptPaging& parent, std::uint64_t dma_start, UserData const& data,
                                                         Caller& caller) {
  if (data.type != SWIOMMU_HWPT_DATA_ZPCI)
    return fail(EOPNOTSUPP, fmt::format("data of type {:#x}, not SWIOMMU_HWPT_DATA_ZPCI", data.type));
  auto const read = data.read<swiommu_hwpt_zpci>(caller, data.type, sizeof(swiommu_hwpt_zpci));
  if (!read) return std::unexpected(read.error());
  return guarded([&]() -> Result<std::unique_ptr<DriverNested>> {
    auto const function = zpci::Function::create({.iota = read->iota, .pba = read->pba, .pal = read->pal, .dma_start = dma_start},
                                                 *parent.domain());
    if (!function) return std::unexpected(function.error());
    auto const configuration = function->find(0, std::nullopt);
    if (!configuration) return fail(EINVAL, configuration.error().about);
    auto domain = make_domain(parent.domain(), *configuration);
    if (!domain) return std::unexpected(std::move(domain).error());
    return std::unique_ptr<DriverNested>(new ZpciNested(std::move(*domain)));
  });
}

Result<std::shared_ptr<Domain>> ZpciNested::attach(PhysicalDevice&, HwptNested&) {
  SWIOMMU_TRY(domain_->invalidate(Range::all()));
  return domain_;
}

Result<void> ZpciNested::invalidate(InvalidationArray& entries) {
  if (entries.type() != SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI) return fail(EINVAL, "invalidation data of another type than ZPCI");
  for (std::uint32_t n = 0; n < entries.entries(); n++) {
    auto const entry = entries.read<swiommu_hwpt_zpci_invalidate>(n, sizeof(swiommu_hwpt_zpci_invalidate));
    if (!entry) return std::unexpected(entry.error());
    bool const all = entry->start == 0 && entry->length == ~std::uint64_t{0};
    auto const range = all ? Range::all() : Range::of_length(entry->start, entry->length);
    if (!range || (!all && ((entry->start | entry->length) & low_bits(12)) != 0))
      return fail(EINVAL, fmt::format("entry {} is about no whole pages: {:#x} bytes at {:#x}", n, entry->length, entry->start));
    SWIOMMU_TRY(domain_->invalidate(*range));
    entries.set_done(n + 1);
  }
  return {};
}

}  // namespace swiommu::iommufd
