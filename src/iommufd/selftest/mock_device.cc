#include "iommufd/selftest/mock_device.h"

#include <fmt/format.h>

#include "iommufd/device_object.h"
#include "iommufd/file.h"

namespace swiommu::iommufd::selftest {

Result<std::shared_ptr<MockDevice>> MockDevice::create(File& file, std::shared_ptr<MockDriver> driver, std::uint32_t flags) {
  if ((flags & ~known_mock_flags) != 0) return fail(EINVAL, fmt::format("mock devices have no flags {:#x}", flags));
  return guarded([&]() -> Result<std::shared_ptr<MockDevice>> {
    auto dma = Device::create(file.engine().host(), {.requester_id = driver->next_requester_id(),
                                                     .pasid_bits = (flags & mock_has_pasids) != 0 ? mock_pasid_bits : 0,
                                                     .interrupt_range = std::nullopt});
    if (!dma) return std::unexpected(std::move(dma).error());
    PhysicalDevice::Options options;
    options.capabilities.dirty_tracking = (flags & mock_no_dirty_tracking) == 0;
    options.responses = [](PageResponse const&) {};
    auto physical = PhysicalDevice::create(std::move(*dma), driver, std::move(options));
    if (!physical) return std::unexpected(std::move(physical).error());
    SWIOMMU_TRY(driver->add(**physical, flags));
    try {
      return std::shared_ptr<MockDevice>(new MockDevice(driver, *physical));
    } catch (std::bad_alloc const&) {
      driver->remove(**physical);
      throw;
    }
  });
}

MockDevice::~MockDevice() {
  if (device_) device_->unbind();
  driver_->remove(*physical_);
}

Result<void> MockDevice::bind(File& file) {
  auto bound = DeviceObject::bind(file, physical_);
  if (!bound) return std::unexpected(std::move(bound).error());
  device_ = std::move(*bound);
  return {};
}

}  // namespace swiommu::iommufd::selftest
