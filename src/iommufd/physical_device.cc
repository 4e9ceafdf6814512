#include "swiommu/iommufd/physical_device.h"

#include "iommufd/device_group.h"
#include "iommufd/driver.h"
#include "iommufd/page_requests.h"

namespace swiommu::iommufd {

Result<std::shared_ptr<PhysicalDevice>> PhysicalDevice::create(std::shared_ptr<Device> device, std::shared_ptr<Driver> driver,
                                                               Options options) {
  return guarded([&]() -> Result<std::shared_ptr<PhysicalDevice>> {
    options.capabilities = driver->usable(options.capabilities);
    auto const reserved = driver->reserved();
    options.reserved.insert(options.reserved.end(), reserved.begin(), reserved.end());
    if (!options.group) options.group = std::make_shared<DeviceGroup>();
    std::shared_ptr<PhysicalDevice> made(new PhysicalDevice(std::move(device), std::move(driver), std::move(options)));
    SWIOMMU_TRY(made->group()->add_member(*made));
    if (made->capabilities().page_requests) made->device()->set_page_requests(made);
    return made;
  });
}

PhysicalDevice::PhysicalDevice(std::shared_ptr<Device> device, std::shared_ptr<Driver> driver, Options options)
    : device_(std::move(device)),
      driver_(std::move(driver)),
      options_(std::move(options)),
      page_requests_(std::make_unique<PageRequests>()) {}

PhysicalDevice::~PhysicalDevice() { options_.group->remove_member(*this); }

Result<void> PhysicalDevice::report(PageRequest const& request) { return page_requests_->report(shared_from_this(), request); }

void PhysicalDevice::report(FaultRecord const& fault) const { driver_->report_fault(*this, fault); }

void PhysicalDevice::respond(PageResponse const& response) const {
  if (!device_->answer(response) && options_.responses) options_.responses(response);
}

Result<std::shared_ptr<DeviceGroup>> new_group() {
  return guarded([]() -> Result<std::shared_ptr<DeviceGroup>> { return std::make_shared<DeviceGroup>(); });
}

}  // namespace swiommu::iommufd
