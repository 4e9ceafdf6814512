// The RISC-V IOMMU: paging HWPTs, and nothing else, as Linux 7.2 has it.
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class RiscvDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;
  [[nodiscard]] std::string_view kind() const override { return "RISC-V IOMMU"; }
};

}  // namespace swiommu::iommufd
