#include "iommufd/drivers/zpci.h"

#include "iommufd/drivers/zpci_nested.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {

bool ZpciDriver::nests() const { return profile().makes_nested(SWIOMMU_HWPT_DATA_ZPCI); }

Result<std::unique_ptr<DriverNested>> ZpciDriver::make_nested(PhysicalDevice const&, HwptPaging& parent, std::uint32_t flags,
                                                              UserData const& data, Caller& caller) {
  if (flags != 0) return fail(EOPNOTSUPP, "a nested HWPT of zPCI has no flags");
  return ZpciNested::create(parent, profile().register_value("sdma"), data, caller);
}

}  // namespace swiommu::iommufd
