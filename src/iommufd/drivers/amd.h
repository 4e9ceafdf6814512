// AMD-Vi: paging HWPTs of v1 and v2 tables. Nested ones cannot be had from Linux 7.2, nor here.
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class AmdDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;
  [[nodiscard]] std::string_view kind() const override { return "AMD-Vi"; }
};

}  // namespace swiommu::iommufd
