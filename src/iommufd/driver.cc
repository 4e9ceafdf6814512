#include "iommufd/driver.h"

#include <fmt/format.h>

#include "iommufd/hwpt.h"

namespace swiommu::iommufd {

Result<std::shared_ptr<Domain>> DriverNested::attach(PhysicalDevice&, HwptNested&) {
  return fail(EINVAL, "this hardware has no nested HWPTs");
}

Result<std::unique_ptr<DriverNested>> DriverViommu::make_nested(std::uint32_t, UserData const&, Caller&) {
  return fail(EOPNOTSUPP, "this hardware has no nested HWPTs on vIOMMUs");
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): who overrides it keeps the queue
Result<std::unique_ptr<DriverHwQueue>> DriverViommu::make_hw_queue(std::shared_ptr<HwQueue>, HostAddress) {
  return fail(EOPNOTSUPP, "this hardware has no HW queues");
}

Result<HardwareInfo> Driver::hardware_info(PhysicalDevice const&, std::uint32_t) const { return HardwareInfo{}; }

Result<std::unique_ptr<DriverNested>> Driver::make_nested(PhysicalDevice const&, HwptPaging&, std::uint32_t, UserData const&,
                                                          Caller&) {
  return fail(EOPNOTSUPP, "this hardware has no nested HWPTs");
}

Result<std::unique_ptr<DriverViommu>> Driver::make_viommu(Viommu&, PhysicalDevice const&, std::optional<UserData> const&,
                                                          Caller&) {
  return fail(EOPNOTSUPP, "this hardware has no vIOMMUs");
}

Result<std::shared_ptr<Domain>> Driver::attach(PhysicalDevice& device, std::optional<Pasid>, Hwpt& hwpt, Hwpt const*) {
  if (hwpt.type() == ObjectType::hwpt_nested) {
    auto& nested = static_cast<HwptNested&>(hwpt);
    return nested.nested().attach(device, nested);
  }
  auto& paging = static_cast<HwptPaging&>(hwpt);
  if (paging.can_track_dirty() && !device.capabilities().dirty_tracking)
    return fail(EINVAL, fmt::format("HWPT {} tracks dirty pages, which the IOMMU of the device cannot", hwpt.id()));
  return paging.domain();
}

}  // namespace swiommu::iommufd
