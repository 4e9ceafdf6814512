// The DMA of one device that waits for pages: which groups of page requests are on their way, and what they were answered.
#pragma once
#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <optional>

#include "swiommu/base/mutex.h"
#include "swiommu/device/page_request.h"

namespace swiommu {

// Threads: any.
class PageWaits {
 public:
  void set_target(std::weak_ptr<PageRequestTarget> target) noexcept;
  // Nothing: the device has no page requests, or its IOMMU is gone.
  [[nodiscard]] std::shared_ptr<PageRequestTarget> target() const noexcept;

  // A group for requests that are about to be made. `waits`: await() follows; otherwise the answer frees the group. Nothing: as
  // many are on their way as PCIe can number.
  std::optional<std::uint32_t> begin(bool waits) noexcept;
  // Blocks until the group is answered, or given up.
  PageResponse::Code await(std::uint32_t group) noexcept;
  // Is this the group of a thread in await()? Then that thread goes on. An answer that nobody asked for changes nothing.
  bool answer(PageResponse const& response) noexcept;
  // All threads in await() go on, without their pages.
  void give_up() noexcept;

 private:
  // given_up: the thread does not wait any more, the answer is still to come
  enum class State : std::uint8_t { free, asked, awaited, given_up, succeeded, failed };

  mutable Mutex mutex_;
  std::condition_variable_any changed_;
  std::weak_ptr<PageRequestTarget> target_ SWIOMMU_GUARDED_BY(mutex_);
  std::array<State, page_request_groups - first_port_group> groups_ SWIOMMU_GUARDED_BY(mutex_){};
};

}  // namespace swiommu
