// Nested HWPTs of any user page table, whatever the hardware: SWIOMMU_HWPT_DATA_RAW.
#pragma once
#include "iommufd/driver.h"

namespace swiommu::iommufd {

class RawNested final : public DriverNested {
 public:
  // The table that `data` describes, over `parent`. EOPNOTSUPP, EINVAL, EFAULT, ENOMEM.
  static Result<std::unique_ptr<DriverNested>> create(HwptPaging& parent, UserData const& data, Caller& caller);

  // A shadow is brought up to date: E2BIG, ENOMEM.
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, HwptNested& hwpt) override;
  [[nodiscard]] bool reserves_in_parent() const override { return false; }
  [[nodiscard]] bool invalidates() const override { return true; }
  Result<void> invalidate(InvalidationArray& entries) override;

 private:
  explicit RawNested(std::shared_ptr<Domain> domain) : domain_(std::move(domain)) {}

  std::shared_ptr<Domain> const domain_;
};

}  // namespace swiommu::iommufd
