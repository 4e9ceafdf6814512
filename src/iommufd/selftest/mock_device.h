// A device that a selftest makes: alone in its group, behind the mock IOMMU. DESTROY of its object takes it off the machine.
#pragma once
#include <memory>

#include "iommufd/object.h"
#include "iommufd/selftest/mock_driver.h"
#include "swiommu/iommufd/physical_device.h"

namespace swiommu::iommufd {
class DeviceObject;
class File;
}  // namespace swiommu::iommufd

namespace swiommu::iommufd::selftest {

// Mutex of the file held.
class MockDevice final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::mock_device;

  // EINVAL: an unknown flag; ENOMEM.
  static Result<std::shared_ptr<MockDevice>> create(File& file, std::shared_ptr<MockDriver> driver, std::uint32_t flags);
  // Detaches and unbinds.
  ~MockDevice() override;

  // Binds it to the file. Once.
  Result<void> bind(File& file);
  // After bind().
  [[nodiscard]] DeviceObject& device() const { return *device_; }
  [[nodiscard]] std::shared_ptr<PhysicalDevice> const& physical() const { return physical_; }

 private:
  MockDevice(std::shared_ptr<MockDriver> driver, std::shared_ptr<PhysicalDevice> physical)
      : Object(object_type), driver_(std::move(driver)), physical_(std::move(physical)) {}

  std::shared_ptr<MockDriver> const driver_;
  std::shared_ptr<PhysicalDevice> const physical_;
  std::shared_ptr<DeviceObject> device_;
};

}  // namespace swiommu::iommufd::selftest
