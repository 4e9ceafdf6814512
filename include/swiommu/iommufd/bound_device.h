// A device bound to an open /dev/iommu: what drivers of devices (VFIO) do with it.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "swiommu/base/result.h"
#include "swiommu/device/device.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::iommufd {

class DeviceObject;
class File;
class PhysicalDevice;

// Keeps the file open. Threads: any.
class BoundDevice {
 public:
  // EBADFD: the file is no /dev/iommu. EINVAL: the device is not cache coherent. EPERM: its interrupts are not isolated. EBUSY:
  // it or another device of its group belongs to another file. ENOMEM.
  static Result<std::unique_ptr<BoundDevice>> bind(std::shared_ptr<OpenFile> const& file, std::shared_ptr<PhysicalDevice> device);

  // Detaches whatever is attached, and unbinds. A vDEVICE of the device goes with it, and its id is lost.
  ~BoundDevice();
  BoundDevice(BoundDevice const&) = delete;
  BoundDevice& operator=(BoundDevice const&) = delete;

  [[nodiscard]] std::uint32_t id() const;

  // Attaches the device, or a PASID of it, to an IOAS (through an automatic HWPT, the id of which `pt_id` becomes) or to an HWPT.
  // ENOENT: there is no such object. EINVAL: it is neither; the group of the device is attached to something else; a HWPT that
  // does not fit the device, or PASIDs. EBUSY: attached already. EADDRINUSE: something is mapped in iovas that the device
  // reserves. EOPNOTSUPP: the hardware has no PASIDs. ENOMEM; EFAULT: memory of the IOAS that cannot be pinned.
  Result<void> attach(std::uint32_t& pt_id, std::optional<Pasid> pasid = std::nullopt);
  // From what is attached to something else, with nothing in between. EINVAL: nothing is attached; else as above.
  Result<void> replace(std::uint32_t& pt_id, std::optional<Pasid> pasid = std::nullopt);
  // Does nothing if nothing is attached.
  void detach(std::optional<Pasid> pasid = std::nullopt);

 private:
  BoundDevice(std::shared_ptr<File> file, std::shared_ptr<DeviceObject> object);

  std::shared_ptr<File> const file_;
  std::shared_ptr<DeviceObject> object_;
};

}  // namespace swiommu::iommufd
