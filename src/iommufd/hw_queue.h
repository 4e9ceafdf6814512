// A queue in guest memory that the hardware works on by itself. Its memory is pinned, and cannot be unmapped, while it lives.
#pragma once
#include <cstdint>
#include <memory>

#include "iommufd/viommu.h"

namespace swiommu::iommufd {

class PinnedQueue;

// Mutex of the file held.
class HwQueue final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::hw_queue;

  HwQueue(std::shared_ptr<Viommu> viommu, std::uint32_t type, std::uint32_t index, std::uint64_t iova, std::uint64_t length);
  ~HwQueue() override;

  [[nodiscard]] std::shared_ptr<Viommu> const& viommu() const { return viommu_.get(); }
  [[nodiscard]] std::uint32_t kind() const { return kind_; }  // IOMMU_HW_QUEUE_TYPE_...
  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] std::uint64_t iova() const { return iova_; }
  [[nodiscard]] std::uint64_t length() const { return length_; }
  void set_half(std::unique_ptr<DriverHwQueue> half) { half_ = std::move(half); }

 private:
  Use<Viommu> const viommu_;
  std::uint32_t const kind_;
  std::uint32_t const index_;
  std::uint64_t const iova_;
  std::uint64_t const length_;
  std::unique_ptr<PinnedQueue> pinned_;
  std::unique_ptr<DriverHwQueue> half_;  // dies first
};

}  // namespace swiommu::iommufd
