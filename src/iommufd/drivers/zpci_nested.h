// zPCI's half of nested HWPTs: what a guest registers for a function, on hardware that walks one table.
#pragma once
#include "iommufd/driver.h"
#include "swiommu/domain/shadow_domain.h"

namespace swiommu::iommufd {

class ZpciNested final : public DriverNested {
 public:
  // The anchor of `data`, over `parent`; `dma_start`: where DMA without translation starts. EOPNOTSUPP, EINVAL, EFAULT, ENOMEM.
  static Result<std::unique_ptr<DriverNested>> create(HwptPaging& parent, std::uint64_t dma_start, UserData const& data,
                                                      Caller& caller);

  // Reads the table anew, as hardware does with a new anchor. E2BIG, ENOMEM: it says too much.
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, HwptNested& hwpt) override;
  // The iovas of a function are those of the shadow; the parent has guest addresses.
  [[nodiscard]] bool reserves_in_parent() const override { return false; }
  [[nodiscard]] bool invalidates() const override { return true; }
  // RPCIT.
  Result<void> invalidate(InvalidationArray& entries) override;

 private:
  explicit ZpciNested(std::shared_ptr<Domain> domain) : domain_(std::move(domain)) {}

  std::shared_ptr<Domain> const domain_;  // a shadow, or the identity where translation is off
};

}  // namespace swiommu::iommufd
