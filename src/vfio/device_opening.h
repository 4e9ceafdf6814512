// Who has a function open, and through which /dev/iommu its DMA goes.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <set>

#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/bound_device.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::vfio {

class PciFunction;

// Lock order: a group's mutex, then this one, then those of the iommufd and of the function.
class DeviceOpening {
 public:
  explicit DeviceOpening(PciFunction& function) : function_(function) {}

  // The only opener: a cdev that is bound. Gives the id of the device in the file. EINVAL: it is open already; the errors of
  // BoundDevice::bind().
  Result<std::uint32_t> open_alone(std::shared_ptr<iommufd::OpenFile> const& iommufd);
  // One more opener by the group; the first one is attached to the IOAS of the container. EINVAL: the cdev is bound. ENODEV: the
  // container has no IOAS; the errors of BoundDevice.
  Result<void> open_shared(std::shared_ptr<iommufd::OpenFile> const& container);
  // The last one: the function is disabled, then detached and unbound.
  void close() noexcept;

  // Attaches, or replaces what is attached; as BoundDevice. What an attached device, or a PASID, is attached to by then, is said
  // by `pt_id`.
  Result<void> attach(std::uint32_t& pt_id, std::optional<Pasid> pasid);
  void detach(std::optional<Pasid> pasid);

  // The id of the function in this iommufd. Nothing: it is bound to another one, or to none.
  [[nodiscard]] std::optional<std::uint32_t> id_in(iommufd::OpenFile const* iommufd) const;
  [[nodiscard]] std::shared_ptr<iommufd::OpenFile> iommufd() const;

 private:
  Result<void> bind(std::shared_ptr<iommufd::OpenFile> const& iommufd) SWIOMMU_REQUIRES(mutex_);
  void unbind() noexcept SWIOMMU_REQUIRES(mutex_);

  PciFunction& function_;
  mutable Mutex mutex_;
  unsigned openers_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<iommufd::OpenFile> iommufd_ SWIOMMU_GUARDED_BY(mutex_);
  std::unique_ptr<iommufd::BoundDevice> bound_ SWIOMMU_GUARDED_BY(mutex_);
  bool attached_ SWIOMMU_GUARDED_BY(mutex_) = false;
  std::set<Pasid> pasids_ SWIOMMU_GUARDED_BY(mutex_);  // that are attached
};

}  // namespace swiommu::vfio
