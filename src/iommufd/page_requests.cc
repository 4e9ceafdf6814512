#include "iommufd/page_requests.h"

#include <fmt/format.h>

#include <algorithm>

#include "iommufd/driver.h"
#include "swiommu/iommufd/physical_device.h"

namespace swiommu::iommufd {

PageRequests::Place::~Place() {
  if (requests_ == nullptr) return;
  Lock const lock(requests_->mutex_);
  auto const at = requests_->handles_.find(pasid_);
  if (at->second == nullptr) requests_->handles_.erase(at);
}

void PageRequests::Place::fill(std::shared_ptr<FaultHandle const> handle) noexcept {
  {
    Lock const lock(requests_->mutex_);
    requests_->handles_.find(pasid_)->second.swap(handle);
  }
  requests_ = nullptr;
}

PageRequests::Place PageRequests::reserve(std::optional<Pasid> pasid) {
  Lock const lock(mutex_);
  handles_.try_emplace(pasid);
  return {*this, pasid};
}

void PageRequests::clear(std::optional<Pasid> pasid) noexcept {
  Lock const lock(mutex_);
  handles_.erase(pasid);
  std::erase_if(incomplete_, [&](PageRequest const& request) { return request.pasid == pasid; });
}

std::shared_ptr<FaultHandle const> PageRequests::handle_for(std::optional<Pasid> pasid, bool user_pasid_tables) const {
  auto at = handles_.find(pasid);
  if (at == handles_.end() && pasid && user_pasid_tables) {
    at = handles_.find(std::nullopt);
    if (at != handles_.end() && at->second && !at->second->nested) return nullptr;
  }
  if (at == handles_.end() || !at->second || !at->second->queue) return nullptr;
  return at->second;
}

Result<void> PageRequests::report(std::shared_ptr<PhysicalDevice> const& device, PageRequest const& request) {
  auto result = guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    auto const handle = handle_for(request.pasid, device->driver()->has_user_pasid_tables());
    auto const ours = [&](PageRequest const& other) { return other.group == request.group; };
    if (!handle) {
      if (request.last) std::erase_if(incomplete_, ours);
      return fail(EINVAL, "nobody listens to page requests of this device or PASID");
    }
    if (!request.last) {
      if (incomplete_.size() >= FaultQueue::capacity)
        return fail(ENOSPC, fmt::format("{} page requests wait for the last one of their groups", incomplete_.size()));
      incomplete_.push_back(request);
      return {};
    }
    PageRequestGroup group{handle, {}, device};
    std::ranges::copy_if(incomplete_, std::back_inserter(group.requests), ours);
    group.requests.push_back(request);
    std::erase_if(incomplete_, ours);
    return handle->queue->add(std::move(group));
  });
  if (!result && request.last) device->respond({request.pasid, request.group, PageResponse::Code::invalid});
  return result;
}

}  // namespace swiommu::iommufd
