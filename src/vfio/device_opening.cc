#include "vfio/device_opening.h"

#include "iommufd/compatibility_ioas.h"
#include "vfio/pci_function.h"

namespace swiommu::vfio {

Result<void> DeviceOpening::bind(std::shared_ptr<iommufd::OpenFile> const& iommufd) {
  auto bound = iommufd::BoundDevice::bind(iommufd, function_.physical());
  if (!bound) return std::unexpected(std::move(bound).error());
  bound_ = std::move(*bound);
  iommufd_ = iommufd;
  function_.enable();
  return {};
}

// First the function, so that its DMA ends before what it is for goes.
void DeviceOpening::unbind() noexcept {
  function_.disable();
  bound_ = nullptr;
  iommufd_ = nullptr;
  attached_ = false;
  pasids_.clear();
}

Result<std::uint32_t> DeviceOpening::open_alone(std::shared_ptr<iommufd::OpenFile> const& iommufd) {
  Lock const lock(mutex_);
  if (openers_ != 0) return fail(EINVAL, "the device is open already");
  SWIOMMU_TRY(bind(iommufd));
  openers_ = 1;
  return bound_->id();
}

Result<void> DeviceOpening::open_shared(std::shared_ptr<iommufd::OpenFile> const& container) {
  Lock const lock(mutex_);
  if (openers_ == 0) {
    SWIOMMU_TRY(bind(container));
    auto id = iommufd::compatibility_ioas_id(container);
    auto attached = id ? bound_->attach(*id) : std::unexpected(id.error());
    if (!attached) {
      unbind();
      return attached;
    }
    attached_ = true;
  }
  openers_++;
  return {};
}

void DeviceOpening::close() noexcept {
  Lock const lock(mutex_);
  if (--openers_ == 0) unbind();
}

Result<void> DeviceOpening::attach(std::uint32_t& pt_id, std::optional<Pasid> pasid) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    if (!pasid) {
      SWIOMMU_TRY(attached_ ? bound_->replace(pt_id) : bound_->attach(pt_id));
      attached_ = true;
      return {};
    }
    auto const [at, added] = pasids_.insert(*pasid);
    auto changed = added ? bound_->attach(pt_id, pasid) : bound_->replace(pt_id, pasid);
    if (!changed && added) pasids_.erase(at);
    return changed;
  });
}

void DeviceOpening::detach(std::optional<Pasid> pasid) {
  Lock const lock(mutex_);
  if (pasid) {
    if (pasids_.erase(*pasid) != 0) bound_->detach(pasid);
  } else if (attached_) {
    bound_->detach();
    attached_ = false;
  }
}

std::optional<std::uint32_t> DeviceOpening::id_in(iommufd::OpenFile const* iommufd) const {
  Lock const lock(mutex_);
  if (!bound_ || iommufd_.get() != iommufd) return std::nullopt;
  return bound_->id();
}

std::shared_ptr<iommufd::OpenFile> DeviceOpening::iommufd() const {
  Lock const lock(mutex_);
  return iommufd_;
}

}  // namespace swiommu::vfio
