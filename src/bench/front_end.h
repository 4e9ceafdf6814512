// An opened /dev/iommu in our own process, with a device: what ioctls cost where the engine is.
#pragma once
#include <bit>
#include <cstdint>
#include <memory>

#include "bench/failure.h"
#include "swiommu/device/port.h"
#include "swiommu/iommufd/bound_device.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/iommufd/engine.h"
#include "swiommu/iommufd/physical_device.h"
#include "swiommu/profile/profile.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::bench {

class FrontEnd {
 public:
  static constexpr std::uint32_t read_write = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;

  // A device behind the hardware of the profile, bound, with a port that is open, and one IOAS. Nothing is attached.
  explicit FrontEnd(Profile const& profile);
  ~FrontEnd();

  // False: the ioctl failed.
  template <class Structure>
  [[nodiscard]] bool tried(std::uint32_t request, Structure& structure) {
    return file_->ioctl(*caller_, request, std::bit_cast<std::uint64_t>(&structure)).has_value();
  }
  // Throws instead.
  template <class Structure>
  void call(std::uint32_t request, Structure& structure) {
    needed(file_->ioctl(*caller_, request, std::bit_cast<std::uint64_t>(&structure)));
  }

  [[nodiscard]] std::uint32_t ioas() const { return ioas_; }
  [[nodiscard]] iommufd::BoundDevice& device() { return *bound_; }

 private:
  std::shared_ptr<iommufd::Engine> const engine_;
  std::shared_ptr<iommufd::OpenFile> const file_;
  std::unique_ptr<iommufd::Caller> const caller_;
  std::shared_ptr<iommufd::PhysicalDevice> device_;
  std::unique_ptr<iommufd::BoundDevice> bound_;
  std::unique_ptr<Port> port_;
  std::uint32_t ioas_ = 0;
};

}  // namespace swiommu::bench
