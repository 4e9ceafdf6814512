// vIOMMUs: the part of an IOMMU that one guest sees, and the guest's names for its devices.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "iommufd/driver.h"
#include "iommufd/hwpt.h"
#include "iommufd/object.h"
#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"

namespace swiommu::iommufd {

class DeviceObject;
class EventQueue;
class File;
class PhysicalDevice;
class Vdevice;

// Mutex of the file held, but where it says any thread.
class Viommu final : public Object, public std::enable_shared_from_this<Viommu> {
 public:
  static constexpr ObjectType object_type = ObjectType::viommu;

  Viommu(File& file, std::uint32_t type, std::shared_ptr<HwptPaging> parent, std::shared_ptr<Driver> driver);
  ~Viommu() override;

  [[nodiscard]] File& file() const { return file_; }
  [[nodiscard]] std::uint32_t kind() const { return kind_; }  // IOMMU_VIOMMU_TYPE_...
  [[nodiscard]] std::shared_ptr<HwptPaging> const& parent() const { return parent_.get(); }
  // The physical IOMMU that it is a part of.
  [[nodiscard]] std::shared_ptr<Driver> const& driver() const { return driver_; }
  [[nodiscard]] DriverViommu& half() const { return *half_; }
  void set_half(std::unique_ptr<DriverViommu> half) { half_ = std::move(half); }

  // For Driver::make_viommu(): `length` bytes (whole pages) of a file, from `offset` on, may be mapped through the descriptor of
  // the iommufd as long as the vIOMMU lives, which is in use as long as somebody has mapped them. The descriptor stays the
  // driver's. Returns the offset to give mmap. ENOMEM.
  Result<std::uint64_t> add_mappable(int descriptor, std::uint64_t offset, std::uint64_t length);

  // The device that has this virtual id here; nullptr if none. Any thread.
  [[nodiscard]] std::shared_ptr<PhysicalDevice> find_device(std::uint64_t virtual_id) const;
  // Its virtual id here. ENOENT: it has none. Any thread.
  [[nodiscard]] Result<std::uint64_t> virtual_id(PhysicalDevice const& device) const;
  // A free virtual id for a device. EEXIST. ENOMEM.
  Result<void> add_device(std::uint64_t virtual_id, std::shared_ptr<PhysicalDevice> device);
  void remove_device(std::uint64_t virtual_id) noexcept;

  // An event of the hardware, for the queue of its type, which says so if it has no room. Any thread. EOPNOTSUPP: there is no
  // such queue; ENOMEM: it is lost, as the queue says.
  Result<void> report_event(std::uint32_t type, std::span<std::byte const> event);
  [[nodiscard]] std::shared_ptr<EventQueue> event_queue(std::uint32_t type) const;
  Result<void> add_event_queue(std::uint32_t type, std::shared_ptr<EventQueue> const& queue);
  void remove_event_queue(std::uint32_t type) noexcept;

 private:
  File& file_;
  std::uint32_t const kind_;
  Use<HwptPaging> const parent_;
  std::shared_ptr<Driver> const driver_;
  std::unique_ptr<DriverViommu> half_;
  mutable Mutex mutex_;  // nothing is locked inside but queues
  std::map<std::uint64_t, std::shared_ptr<PhysicalDevice>> devices_ SWIOMMU_GUARDED_BY(mutex_);
  std::map<std::uint32_t, std::weak_ptr<EventQueue>> event_queues_ SWIOMMU_GUARDED_BY(mutex_);
};

// A device, as a guest names it. Mutex of the file held.
class Vdevice final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::vdevice;

  Vdevice(std::shared_ptr<Viommu> viommu, DeviceObject& device, std::uint64_t virtual_id);
  ~Vdevice() override;

  [[nodiscard]] std::shared_ptr<Viommu> const& viommu() const { return viommu_.get(); }
  [[nodiscard]] DeviceObject& device() const { return device_; }
  [[nodiscard]] std::uint64_t virtual_id() const { return virtual_id_; }
  // Gives it its virtual id, and its half in the hardware. EEXIST; the driver's errors.
  Result<void> join();

 private:
  Use<Viommu> const viommu_;
  DeviceObject& device_;  // removes this first when it goes
  std::uint64_t const virtual_id_;
  std::unique_ptr<DriverVdevice> half_;
  bool joined_ = false;
};

}  // namespace swiommu::iommufd
