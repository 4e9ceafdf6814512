// The RISC-V IOMMU's half of nested HWPTs and vIOMMUs: the guest's device context, and its commands (IOMMU specification, 4.1).
#pragma once
#include "iommufd/drivers/context_nested.h"
#include "swiommu/hardware/riscv.h"

namespace swiommu::iommufd {

class RiscvViommu final : public ContextViommu {
 public:
  RiscvViommu(Viommu& viommu, bool nests, riscv::Registers const& registers)
      : ContextViommu(viommu, nests), registers_(registers) {}

  Result<std::unique_ptr<DriverNested>> make_nested(std::uint32_t flags, UserData const& data, Caller& caller) override;
  Result<void> invalidate(InvalidationArray& entries) override;

 private:
  Result<void> run(Command const& command) override;

  riscv::Registers const registers_;
};

}  // namespace swiommu::iommufd
