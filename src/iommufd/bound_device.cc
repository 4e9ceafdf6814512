#include "swiommu/iommufd/bound_device.h"

#include "iommufd/device_object.h"
#include "iommufd/file.h"

namespace swiommu::iommufd {

BoundDevice::BoundDevice(std::shared_ptr<File> file, std::shared_ptr<DeviceObject> object)
    : file_(std::move(file)), object_(std::move(object)) {}

Result<std::unique_ptr<BoundDevice>> BoundDevice::bind(std::shared_ptr<OpenFile> const& file,
                                                       std::shared_ptr<PhysicalDevice> device) {
  return guarded([&]() -> Result<std::unique_ptr<BoundDevice>> {
    auto ours = std::dynamic_pointer_cast<File>(file);
    if (!ours) return fail(EBADFD, "the file is no /dev/iommu");
    Lock const lock(ours->mutex());
    std::unique_ptr<BoundDevice> bound(new BoundDevice(std::move(ours), nullptr));
    auto object = DeviceObject::bind(*bound->file_, std::move(device));
    if (!object) return std::unexpected(std::move(object).error());
    bound->object_ = std::move(*object);
    return bound;
  });
}

BoundDevice::~BoundDevice() {
  if (!object_) return;
  Lock const lock(file_->mutex());
  object_->unbind();
  object_ = nullptr;
}

std::uint32_t BoundDevice::id() const { return object_->id(); }

Result<void> BoundDevice::attach(std::uint32_t& pt_id, std::optional<Pasid> pasid) {
  Lock const lock(file_->mutex());
  return object_->attach(pt_id, pasid);
}

Result<void> BoundDevice::replace(std::uint32_t& pt_id, std::optional<Pasid> pasid) {
  Lock const lock(file_->mutex());
  return object_->replace(pt_id, pasid);
}

void BoundDevice::detach(std::optional<Pasid> pasid) {
  Lock const lock(file_->mutex());
  object_->detach(pasid);
}

}  // namespace swiommu::iommufd
