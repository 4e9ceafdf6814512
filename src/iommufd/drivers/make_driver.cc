#include "swiommu/iommufd/make_driver.h"

#include <fmt/format.h>

#include "iommufd/drivers/amd.h"
#include "iommufd/drivers/riscv.h"
#include "iommufd/drivers/smmuv3.h"
#include "iommufd/drivers/vtd.h"
#include "iommufd/drivers/zpci.h"
#include "iommufd/selftest/mock_driver.h"

namespace swiommu::iommufd {

Result<std::shared_ptr<Driver>> make_driver(Profile const& profile) {
  return guarded([&]() -> Result<std::shared_ptr<Driver>> {
    if (auto const contradiction = find_contradiction(profile))
      return fail(EINVAL, fmt::format("profile {}: {}", profile.name, contradiction->about));
    switch (profile.hardware) {
      case Hardware::intel_vtd: return std::make_shared<VtdDriver>(profile);
      case Hardware::arm_smmuv3: return std::make_shared<SmmuDriver>(profile);
      case Hardware::amd: return std::make_shared<AmdDriver>(profile);
      case Hardware::riscv: return std::make_shared<RiscvDriver>(profile);
      case Hardware::s390_zpci: return std::make_shared<ZpciDriver>(profile);
      case Hardware::kernel_selftest: return std::make_shared<selftest::MockDriver>(profile);
    }
    return fail(EINVAL, fmt::format("profile {} is of no hardware", profile.name));
  });
}

}  // namespace swiommu::iommufd
