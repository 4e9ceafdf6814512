// A nested HWPT of the mock IOMMU: has no tables of its user, but four cached values that invalidations turn to 0.
#pragma once
#include <array>
#include <memory>

#include "iommufd/driver.h"
#include "iommufd/selftest/mock_hardware.h"
#include "swiommu/domain/fixed_domains.h"

namespace swiommu::iommufd::selftest {

class MockNested final : public DriverNested {
 public:
  // EOPNOTSUPP: flags or data of another type than the mock IOMMU has; EINVAL, EFAULT: the data; ENOMEM.
  static Result<std::unique_ptr<MockNested>> create(std::shared_ptr<Domain> parent, std::uint32_t flags, UserData const& data,
                                                    Caller& caller);

  bool invalidates() const override { return true; }
  Result<void> invalidate(InvalidationArray& entries) override;

  // DMA is passed on to the parent unchanged.
  [[nodiscard]] std::shared_ptr<Domain> domain() const { return domain_; }
  [[nodiscard]] std::array<std::uint32_t, mock_iotlb_entries> const& iotlb() const { return iotlb_; }

 private:
  MockNested(std::shared_ptr<IdentityDomain> domain, std::uint32_t value) : domain_(std::move(domain)) { iotlb_.fill(value); }

  std::shared_ptr<IdentityDomain> const domain_;
  std::array<std::uint32_t, mock_iotlb_entries> iotlb_;
};

}  // namespace swiommu::iommufd::selftest
