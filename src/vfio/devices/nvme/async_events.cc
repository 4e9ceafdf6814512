#include "vfio/devices/nvme/async_events.h"

#include <algorithm>

namespace swiommu::vfio::nvme {

void AsyncEvents::add(AsyncEvent event) {
  Lock const lock(mutex_);
  if (std::ranges::find(pending_, event) != pending_.end()) return;
  pending_.push_back(event);
  update();
}

bool AsyncEvents::request(std::uint16_t command) {
  Lock const lock(mutex_);
  if (requests_.size() == most_requests) return false;
  requests_.push_back(command);
  update();
  return true;
}

bool AsyncEvents::abort(std::uint16_t command) {
  Lock const lock(mutex_);
  auto const found = std::ranges::find(requests_, command);
  if (found == requests_.end()) return false;
  requests_.erase(found);
  update();
  return true;
}

void AsyncEvents::unmask(std::uint8_t log_page) {
  Lock const lock(mutex_);
  std::erase_if(told_, [&](AsyncEvent const& each) { return each.log_page == log_page; });
  update();
}

// The first event whose type is not masked.
std::size_t AsyncEvents::next() const {
  for (std::size_t n = 0; n < pending_.size(); n++) {
    bool masked = false;
    for (AsyncEvent const& each : told_) masked |= each.type == pending_[n].type;
    if (!masked) return n;
  }
  return pending_.size();
}

std::optional<AsyncEvents::Delivery> AsyncEvents::deliver() {
  Lock const lock(mutex_);
  std::size_t const n = next();
  if (n == pending_.size() || requests_.empty()) return std::nullopt;
  Delivery const delivery{requests_.front(), pending_[n]};
  requests_.erase(requests_.begin());
  told_.push_back(pending_[n]);
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(n));
  update();
  return delivery;
}

void AsyncEvents::reset() {
  Lock const lock(mutex_);
  pending_.clear();
  requests_.clear();
  told_.clear();
  update();
}

}  // namespace swiommu::vfio::nvme
