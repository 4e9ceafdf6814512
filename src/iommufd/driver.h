// One IOMMU: what it can do, and how it makes the hardware's half of HWPTs and vIOMMUs. Derived for each kind of hardware in
// drivers/.
//
// Of each pair one half is the same for all hardware and has the id (HwptPaging, HwptNested, Viommu, Vdevice, HwQueue); the other
// is the driver's and belongs to it (DriverNested, DriverViommu, DriverVdevice, DriverHwQueue).
//
// Threads: a driver serves devices of several files and so guards its own state; calls that name a file's objects have that
// file's mutex held. Every call that fails has changed nothing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "iommufd/invalidation_array.h"
#include "iommufd/user_data.h"
#include "swiommu/base/result.h"
#include "swiommu/device/fault_record.h"
#include "swiommu/domain/domain.h"
#include "swiommu/iommufd/physical_device.h"
#include "swiommu/profile/profile.h"

namespace swiommu::iommufd {

class Caller;
class HwQueue;
class Hwpt;
class HwptNested;
class HwptPaging;
class Vdevice;
class Viommu;

// How to build the page table of a paging HWPT.
struct PagingPlan {
  FormatConfiguration format;
  Limits limits;
  bool enforces_coherency = false;  // what VFIO calls DMA_CC
};

// The hardware's half of a nested HWPT.
class DriverNested {
 public:
  virtual ~DriverNested() = default;
  // What DMA of a device that is attached to `hwpt`, whose half this is, goes through: for Driver::attach(), and with its errors.
  virtual Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, HwptNested& hwpt);
  // Are iovas that a device reserves out of bounds for guest addresses as well?
  [[nodiscard]] virtual bool reserves_in_parent() const { return true; }
  [[nodiscard]] virtual bool invalidates() const { return false; }
  // HWPT_INVALIDATE on the HWPT; counts in `entries` what it has done, also when it fails. Only if invalidates().
  virtual Result<void> invalidate(InvalidationArray& entries) {
    (void)entries;
    return {};
  }
};

// The hardware's half of a vDEVICE; its destructor takes the device out of the vIOMMU.
class DriverVdevice {
 public:
  virtual ~DriverVdevice() = default;
};

// The hardware's half of a HW queue. It may hold a Use<HwQueue> of the queue that must outlive it.
class DriverHwQueue {
 public:
  virtual ~DriverHwQueue() = default;
};

// The hardware's half of a vIOMMU. Dies before the Viommu that it belongs to.
class DriverViommu {
 public:
  virtual ~DriverViommu() = default;

  [[nodiscard]] virtual bool nests() const { return false; }
  // HWPT_ALLOC on the vIOMMU. `flags` without IOMMU_HWPT_FAULT_ID_VALID. Only if nests().
  virtual Result<std::unique_ptr<DriverNested>> make_nested(std::uint32_t flags, UserData const& data, Caller& caller);

  [[nodiscard]] virtual bool invalidates() const { return false; }
  // HWPT_INVALIDATE on the vIOMMU; as DriverNested's.
  virtual Result<void> invalidate(InvalidationArray& entries) {
    (void)entries;
    return {};
  }

  // VDEVICE_ALLOC, once the virtual id is known to be free. May give nothing.
  virtual Result<std::unique_ptr<DriverVdevice>> make_vdevice(Vdevice& vdevice) {
    (void)vdevice;
    return nullptr;
  }

  [[nodiscard]] virtual bool has_hw_queues(std::uint32_t type) const {
    (void)type;
    return false;
  }
  // HW_QUEUE_ALLOC, once its memory is pinned; `address` is the host address of its first byte. Only if has_hw_queues().
  virtual Result<std::unique_ptr<DriverHwQueue>> make_hw_queue(std::shared_ptr<HwQueue> queue, HostAddress address);
};

class Driver {
 public:
  Driver() = default;
  Driver(Driver const&) = delete;
  Driver& operator=(Driver const&) = delete;
  virtual ~Driver() = default;

  // The kind of hardware. HWPTs of one kind do not fit devices of another.
  [[nodiscard]] virtual std::string_view kind() const = 0;

  // What of a device's capabilities works behind this IOMMU.
  [[nodiscard]] virtual DeviceCapabilities usable(DeviceCapabilities const& device) const { return device; }
  // Iovas that all devices behind it reserve.
  [[nodiscard]] virtual std::vector<ReservedIovas> reserved() const { return {}; }

  // GET_HW_INFO. `type`: IOMMU_HW_INFO_TYPE_DEFAULT, or the one that is asked for. EOPNOTSUPP: no information of that type.
  virtual Result<HardwareInfo> hardware_info(PhysicalDevice const& device, std::uint32_t type) const;

  // HWPT_ALLOC on an IOAS, and automatic domains (flags 0, no data). Flags are known ones, without IOMMU_HWPT_FAULT_ID_VALID;
  // dirty tracking is asked for only if the device has it. EOPNOTSUPP: a combination that this hardware does not have.
  virtual Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                         Caller* caller) const = 0;

  [[nodiscard]] virtual bool nests() const { return false; }
  // HWPT_ALLOC on a paging HWPT, which is a nesting parent of this kind. `flags` as above. Only if nests().
  virtual Result<std::unique_ptr<DriverNested>> make_nested(PhysicalDevice const& device, HwptPaging& parent, std::uint32_t flags,
                                                            UserData const& data, Caller& caller);

  // May nested HWPTs be made of any table, in its stead (SWIOMMU_HWPT_DATA_RAW)?
  [[nodiscard]] virtual bool nests_raw() const { return false; }

  [[nodiscard]] virtual bool has_viommus(PhysicalDevice const& device, std::uint32_t type) const {
    (void)device, (void)type;
    return false;
  }
  // VIOMMU_ALLOC. `viommu` has its parent, its type and its id, and takes mappable memory. Only if has_viommus().
  virtual Result<std::unique_ptr<DriverViommu>> make_viommu(Viommu& viommu, PhysicalDevice const& device,
                                                            std::optional<UserData> const& data, Caller& caller);

  // A device, or a PASID of it, is about to be attached to `hwpt`, from `old` or from nothing: what its DMA goes through then.
  // The domain may differ with the device; the HWPT keeps it alive. If the attach fails after that, withdraw() is called.
  // EINVAL: the HWPT does not fit the device, another one may. This one gives the domain of a paging HWPT, and asks the half of a
  // nested one.
  virtual Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt, Hwpt const* old);
  // The attach that was under way does not take place: `old` stays, or nothing does.
  virtual void withdraw(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt, Hwpt* old) noexcept {
    (void)device, (void)pasid, (void)hwpt, (void)old;
  }
  // It took place.
  virtual void attached(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt) noexcept {
    (void)device, (void)pasid, (void)hwpt;
  }
  // It was detached: nothing of its DMA is translated.
  virtual void detach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt) noexcept {
    (void)device, (void)pasid, (void)hwpt;
  }

  // DMA of the device met a fault, which a guest may have to be told. Any thread, not inside a guard.
  virtual void report_fault(PhysicalDevice const& device, FaultRecord const& fault) { (void)device, (void)fault; }

  // The errno of HWPT_INVALIDATE on a paging HWPT, which has nothing to invalidate.
  [[nodiscard]] virtual int invalidation_refusal() const { return EINVAL; }

  // Do guests own the table of PASIDs, so that page requests with a PASID that nobody attached belong to the nested HWPT of the
  // device itself?
  [[nodiscard]] virtual bool has_user_pasid_tables() const { return false; }
};

}  // namespace swiommu::iommufd
