// s390 zPCI: paging HWPTs, which are all that Linux 7.2 has, and nested ones on them, whose tables are shadowed.
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class ZpciDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;
  [[nodiscard]] std::string_view kind() const override { return "s390 zPCI"; }
  [[nodiscard]] bool nests() const override;
  Result<std::unique_ptr<DriverNested>> make_nested(PhysicalDevice const& device, HwptPaging& parent, std::uint32_t flags,
                                                    UserData const& data, Caller& caller) override;
};

}  // namespace swiommu::iommufd
