// Devices that an IOMMU cannot tell apart: one file has them all, and they are attached together.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "iommufd/fault_queue.h"
#include "iommufd/hwpt.h"
#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/physical_device.h"

namespace swiommu::iommufd {

class DeviceObject;
class File;

class DeviceGroup {
 public:
  // What the group, or one PASID of its devices, is attached to, for which of its bound devices.
  struct Attach {
    struct Device {
      DeviceObject* object;
      Use<Hwpt> hwpt;
    };
    std::shared_ptr<Hwpt> hwpt;
    std::vector<Device> devices;
    std::shared_ptr<FaultHandle const> handle;

    [[nodiscard]] bool holds(DeviceObject const& device) const;
  };
  using Attaches = std::map<std::optional<Pasid>, Attach>;  // that of the devices themselves first

  // One more device of the group is bound to the file. EBUSY: others are bound to another one. Any thread.
  Result<void> claim(File const& file);
  void release() noexcept;

  // All devices there are, bound or not. Any thread; not while one of the group is attached. ENOMEM.
  Result<void> add_member(PhysicalDevice& device);
  void remove_member(PhysicalDevice& device) noexcept;

  // Below: mutex of the file that has claimed the group held.
  [[nodiscard]] Attaches& attaches() { return attaches_; }
  [[nodiscard]] Attaches const& attaches() const { return attaches_; }

  // Attaches all members, or their PASID, to `to`, from `from` or from nothing; all of them or none. EINVAL: `to` is of other
  // hardware, or the PASID is too large; EOPNOTSUPP: no PASIDs can be attached; the driver's errors. ENOMEM.
  Result<void> change(std::optional<Pasid> pasid, Hwpt& to, Hwpt* from, std::shared_ptr<FaultHandle const> const& handle);
  void detach(std::optional<Pasid> pasid, Hwpt& from) noexcept;

 private:
  Result<void> check(std::optional<Pasid> pasid, Hwpt const& to) const SWIOMMU_REQUIRES(mutex_);

  mutable Mutex mutex_;  // after that of the file, before those of devices and of page requests
  File const* owner_ SWIOMMU_GUARDED_BY(mutex_) = nullptr;
  unsigned bound_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::vector<PhysicalDevice*> members_ SWIOMMU_GUARDED_BY(mutex_);
  Attaches attaches_;
};

}  // namespace swiommu::iommufd
