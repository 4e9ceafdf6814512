// The functions that the IOMMU cannot tell apart, as VFIO's group: opened as a whole, or each function by its cdev.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/open_file.h"
#include "swiommu/iommufd/physical_device.h"

namespace swiommu::vfio {

class PciFunction;

class Group {
 public:
  Group(unsigned number, std::shared_ptr<iommufd::DeviceGroup> devices) : number_(number), devices_(std::move(devices)) {}

  [[nodiscard]] unsigned number() const { return number_; }
  [[nodiscard]] std::shared_ptr<iommufd::DeviceGroup> const& devices() const { return devices_; }
  // ENOMEM.
  Result<void> add(std::weak_ptr<PciFunction> function);

  // A cdev of the group is bound, or no more. EBUSY: the group's file is open.
  Result<void> block();
  void unblock() noexcept;

  // The group's file. EBUSY: it is open, or a cdev is bound.
  Result<void> open();
  void close() noexcept;

  // A container, or /dev/iommu. EINVAL: there is one. EBADFD: the file is neither. ENOMEM.
  Result<void> set_container(std::shared_ptr<iommufd::OpenFile> container);
  // EINVAL: there is none. Devices that are open keep it.
  Result<void> unset_container();
  [[nodiscard]] bool has_container() const;
  // False: DMA of the group is somebody's, and not by a container of the group.
  [[nodiscard]] bool viable() const;

  // By name, and with what follows it. ENODEV: there is no such function in the group. EINVAL: what follows is no option, or a
  // token, which none of our functions takes.
  Result<std::shared_ptr<PciFunction>> find(std::string_view name) const;
  // Opens the function through the container. EINVAL: there is none; else as DeviceOpening::open_shared().
  Result<void> open_function(PciFunction& function) const;

 private:
  unsigned const number_;
  std::shared_ptr<iommufd::DeviceGroup> const devices_;
  mutable Mutex mutex_;  // before that of a function's opening
  std::vector<std::weak_ptr<PciFunction>> functions_ SWIOMMU_GUARDED_BY(mutex_);
  bool open_ SWIOMMU_GUARDED_BY(mutex_) = false;
  unsigned cdevs_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<iommufd::OpenFile> container_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::vfio
