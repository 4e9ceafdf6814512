// The page requests of one device: where they go, and those of groups that are not complete.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "iommufd/fault_queue.h"
#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "swiommu/device/page_request.h"

namespace swiommu::iommufd {

class PhysicalDevice;

// Threads: any. Lock order: this one's mutex, then that of the fault queue.
class PageRequests {
 public:
  // Room for the handle of one attach; filling it cannot fail. Given back if it is not filled.
  class Place {
   public:
    Place(Place&& other) noexcept : requests_(std::exchange(other.requests_, nullptr)), pasid_(other.pasid_) {}
    Place& operator=(Place&&) = delete;
    ~Place();
    void fill(std::shared_ptr<FaultHandle const> handle) noexcept;

   private:
    friend class PageRequests;
    Place(PageRequests& requests, std::optional<Pasid> pasid) : requests_(&requests), pasid_(pasid) {}
    PageRequests* requests_;
    std::optional<Pasid> pasid_;
  };
  // Throws bad_alloc.
  Place reserve(std::optional<Pasid> pasid);
  // It is detached.
  void clear(std::optional<Pasid> pasid) noexcept;

  // As PhysicalDevice::report().
  Result<void> report(std::shared_ptr<PhysicalDevice> const& device, PageRequest const& request);

 private:
  [[nodiscard]] std::shared_ptr<FaultHandle const> handle_for(std::optional<Pasid> pasid, bool user_pasid_tables) const
      SWIOMMU_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::optional<Pasid>, std::shared_ptr<FaultHandle const>> handles_ SWIOMMU_GUARDED_BY(mutex_);
  std::vector<PageRequest> incomplete_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::iommufd
