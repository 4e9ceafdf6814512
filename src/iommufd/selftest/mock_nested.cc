#include "iommufd/selftest/mock_nested.h"

#include "base/sabotage.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd::selftest {

Result<std::unique_ptr<MockNested>> MockNested::create(std::shared_ptr<Domain> parent, std::uint32_t flags, UserData const& data,
                                                       Caller& caller) {
  return guarded([&]() -> Result<std::unique_ptr<MockNested>> {
    if ((flags & ~std::uint32_t{IOMMU_HWPT_ALLOC_PASID}) != 0)
      return fail(EOPNOTSUPP, "a flag that nested HWPTs of the mock IOMMU do not have");
    if (data.type != mock_hwpt_type) return fail(EOPNOTSUPP, "data of another type than the mock IOMMU's");
    auto const read = data.read<MockHwptData>(caller, mock_hwpt_type, least_mock_hwpt_data);
    if (!read) return std::unexpected(read.error());
    auto domain = IdentityDomain::create(std::move(parent));
    if (!domain) return std::unexpected(std::move(domain).error());
    return std::unique_ptr<MockNested>(new MockNested(std::move(*domain), read->iotlb));
  });
}

Result<void> MockNested::invalidate(InvalidationArray& entries) {
  if (entries.type() != mock_invalidation_type) return fail(EINVAL, "invalidations of another type than the mock IOMMU's");
  for (std::uint32_t at = 0; at < entries.entries(); at++) {
    auto const entry = entries.read<MockIotlbInvalidation>(at, sizeof(MockIotlbInvalidation));
    if (!entry) return std::unexpected(entry.error());
    if ((entry->flags & ~mock_invalidate_all) != 0) return fail(EOPNOTSUPP, "an invalidation with an unknown flag");
    if (entry->entry >= mock_iotlb_entries) return fail(EINVAL, "the mock IOTLB has no such entry");
    SWIOMMU_TRY(domain_->invalidate(Range::all()));
    bool const all = (entry->flags & mock_invalidate_all) != 0;
    for (std::uint32_t cached = 0; cached < mock_iotlb_entries; cached++)
      if ((all || cached == entry->entry) && !sabotaged("invalidation-ignored")) iotlb_[cached] = 0;
    entries.set_done(at + 1);
  }
  return {};
}

}  // namespace swiommu::iommufd::selftest
