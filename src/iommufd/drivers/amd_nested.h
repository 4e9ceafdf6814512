// AMD-Vi's half of nested HWPTs and vIOMMUs: the guest's device table entry, and its commands (48882, 2.4).
#pragma once
#include "iommufd/drivers/context_nested.h"
#include "swiommu/hardware/amd.h"

namespace swiommu::iommufd {

class AmdViommu final : public ContextViommu {
 public:
  AmdViommu(Viommu& viommu, bool nests, amd::Registers const& registers) : ContextViommu(viommu, nests), registers_(registers) {}

  Result<std::unique_ptr<DriverNested>> make_nested(std::uint32_t flags, UserData const& data, Caller& caller) override;
  Result<void> invalidate(InvalidationArray& entries) override;

 private:
  Result<void> run(Command const& command) override;

  amd::Registers const registers_;
};

}  // namespace swiommu::iommufd
