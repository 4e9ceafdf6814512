// A queue in guest memory that the hardware works on by itself. Its memory is pinned, and cannot be unmapped, while it lives.
#pragma once
#include <cstdint>
#include <memory>

#include "iommufd/ioas_access.h"
#include "iommufd/viommu.h"

namespace swiommu::iommufd {

// Mutex of the file held.
class HwQueue final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::hw_queue;

  // `iovas`: of the vIOMMU's parent.
  HwQueue(std::shared_ptr<Viommu> viommu, std::uint32_t type, std::uint32_t index, Range iovas);
  ~HwQueue() override;

  // Pins the memory; returns the host address of its first byte. Once. ENOENT: not all of it is mapped; EPERM: it cannot be
  // read; EFAULT: it does not lie in a row in the machine's memory, or is not there; ERANGE: rounded up to pages it leaves the
  // 64-bit space; EADDRINUSE: something in the IOAS is not aligned to pages. ENOMEM.
  Result<HostAddress> pin();

  [[nodiscard]] std::shared_ptr<Viommu> const& viommu() const { return viommu_.get(); }
  [[nodiscard]] std::uint32_t kind() const { return kind_; }  // IOMMU_HW_QUEUE_TYPE_...
  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] Range iovas() const { return iovas_; }
  void set_half(std::unique_ptr<DriverHwQueue> half) { half_ = std::move(half); }

 private:
  Use<Viommu> const viommu_;
  std::uint32_t const kind_;
  std::uint32_t const index_;
  Range const iovas_;
  Use<IoasAccess> access_;
  Range pinned_;  // whole pages
  std::unique_ptr<DriverHwQueue> half_;
};

}  // namespace swiommu::iommufd
