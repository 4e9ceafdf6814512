// A device bound to a file, as an object of the file (IOMMUFD_OBJ_DEVICE).
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "iommufd/hwpt.h"
#include "iommufd/object.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/physical_device.h"

namespace swiommu::iommufd {

class File;
struct FaultHandle;
class Vdevice;

// All functions: mutex of the file held.
class DeviceObject final : public Object, public std::enable_shared_from_this<DeviceObject> {
 public:
  static constexpr ObjectType object_type = ObjectType::device;

  // As BoundDevice::bind(). The object is in use until unbind().
  static Result<std::shared_ptr<DeviceObject>> bind(File& file, std::shared_ptr<PhysicalDevice> device);
  // Detaches, and takes the object out of the file; its vDEVICE becomes a tombstone. At most once.
  void unbind() noexcept;
  ~DeviceObject() override;

  [[nodiscard]] File& file() const { return file_; }
  [[nodiscard]] std::shared_ptr<PhysicalDevice> const& physical() const { return physical_; }

  // As those of BoundDevice.
  Result<void> attach(std::uint32_t& pt_id, std::optional<Pasid> pasid);
  Result<void> replace(std::uint32_t& pt_id, std::optional<Pasid> pasid);
  void detach(std::optional<Pasid> pasid) noexcept;

  // What this device itself has attached; nullptr if nothing.
  [[nodiscard]] std::shared_ptr<Hwpt> attached(std::optional<Pasid> pasid) const;

  // The one vDEVICE that a device can have; nullptr if it has none.
  [[nodiscard]] Vdevice* vdevice() const { return vdevice_; }
  void set_vdevice(Vdevice* vdevice) { vdevice_ = vdevice; }

 private:
  DeviceObject(File& file, std::shared_ptr<PhysicalDevice> device)
      : Object(object_type), file_(file), physical_(std::move(device)) {}

  enum class Way : bool { attach, replace };
  Result<void> change(std::uint32_t& pt_id, std::optional<Pasid> pasid, Way way);
  Result<void> change_to(std::shared_ptr<Hwpt> const& hwpt, std::optional<Pasid> pasid, Way way);
  Result<void> change_to_automatic(std::shared_ptr<Ioas> const& ioas, std::uint32_t& pt_id, std::optional<Pasid> pasid, Way way);
  Result<void> attach_to(std::shared_ptr<Hwpt> const& hwpt, std::optional<Pasid> pasid);
  Result<void> replace_by(std::shared_ptr<Hwpt> const& hwpt, std::optional<Pasid> pasid);
  [[nodiscard]] Result<void> check_fit(Hwpt const& hwpt, std::optional<Pasid> pasid) const;
  Result<void> reserve(Ioas* ioas) const;
  void release(Ioas* ioas) const noexcept;
  [[nodiscard]] std::shared_ptr<FaultHandle const> new_handle(Hwpt const& hwpt) const;
  void destroy_if_automatic(Hwpt const& hwpt) const noexcept;

  File& file_;
  std::shared_ptr<PhysicalDevice> const physical_;
  Use<DeviceObject> driver_;  // the driver that has bound it
  bool claimed_ = false;      // the group, for the file
  Vdevice* vdevice_ = nullptr;
};

}  // namespace swiommu::iommufd
