// What is behind the descriptor of a function: of its cdev /dev/vfio/devices/vfioN, which has to be bound to an iommufd before
// anything else, or of VFIO_GROUP_GET_DEVICE_FD.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "swiommu/base/mutex.h"
#include "swiommu/iommufd/open_file.h"
#include "vfio/group_file.h"
#include "vfio/pci_function.h"

namespace swiommu::vfio {

class DeviceFile final : public iommufd::OpenFile, public std::enable_shared_from_this<DeviceFile> {
 public:
  // ENOMEM.
  static Result<std::shared_ptr<DeviceFile>> open_cdev(std::shared_ptr<PciFunction> function);
  // Keeps the group's file open. The errors of Group::open_function(). ENOMEM.
  static Result<std::shared_ptr<DeviceFile>> open_by_group(std::shared_ptr<PciFunction> function,
                                                           std::shared_ptr<GroupFile> group);
  // The last file of the function that is closed disables, detaches and unbinds it.
  ~DeviceFile() override;

  [[nodiscard]] char const* name() const override { return name_.c_str(); }
  // EINVAL: the cdev is not bound.
  Result<std::uint64_t> ioctl(iommufd::Caller& caller, std::uint32_t request, std::uint64_t argument) override;
  // From, or to, where the last one ended.
  Result<std::uint64_t> read(iommufd::Caller& caller, std::uint64_t to, std::uint64_t length) override;
  Result<std::uint64_t> write(iommufd::Caller& caller, std::uint64_t from, std::uint64_t length) override;
  Result<std::uint64_t> read_at(iommufd::Caller& caller, std::uint64_t to, std::uint64_t length, std::uint64_t offset) override;
  Result<std::uint64_t> write_at(iommufd::Caller& caller, std::uint64_t from, std::uint64_t length,
                                 std::uint64_t offset) override;
  Result<std::shared_ptr<iommufd::MappableMemory>> map(std::uint64_t offset, std::uint64_t length, int protection,
                                                       int flags) override;

 private:
  DeviceFile(std::shared_ptr<PciFunction> function, std::shared_ptr<GroupFile> group);
  [[nodiscard]] Result<void> check_granted() const;
  Result<std::uint64_t> function_ioctl(iommufd::Caller& caller, std::uint32_t request, std::uint64_t argument);

  // device_iommufd.cc
  Result<void> bind(iommufd::Caller& caller, std::uint64_t argument);
  // binding_ is held.
  Result<void> bind_to(iommufd::Caller& caller, std::int32_t descriptor, bool token, std::uint64_t answer);
  Result<void> attach(iommufd::Caller& caller, std::uint64_t argument);
  Result<void> detach(iommufd::Caller& caller, std::uint64_t argument);
  // device_information.cc
  Result<void> get_info(iommufd::Caller& caller, std::uint64_t argument) const;
  Result<void> get_region_info(iommufd::Caller& caller, std::uint64_t argument) const;
  Result<void> get_irq_info(iommufd::Caller& caller, std::uint64_t argument) const;
  // device_reset.cc
  Result<void> get_hot_reset_info(iommufd::Caller& caller, std::uint64_t argument) const;
  Result<void> hot_reset(iommufd::Caller& caller, std::uint64_t argument);
  // device_feature.cc
  Result<void> feature(iommufd::Caller& caller, std::uint64_t argument);

  std::shared_ptr<PciFunction> const function_;
  std::shared_ptr<GroupFile> const group_;  // nullptr: a cdev
  std::string const name_;
  Mutex binding_;                      // before the group's
  std::atomic<bool> granted_ = false;  // it is open: bound, or opened through the group
  std::atomic<std::uint64_t> position_ = 0;
};

}  // namespace swiommu::vfio
