// s390 zPCI: paging HWPTs, and nothing else, as Linux 7.2 has it.
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class ZpciDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;
  [[nodiscard]] std::string_view kind() const override { return "s390 zPCI"; }
};

}  // namespace swiommu::iommufd
