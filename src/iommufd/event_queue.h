// Event queues: what the hardware tells a guest about its part of an IOMMU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "iommufd/object.h"
#include "iommufd/viommu.h"
#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"

namespace swiommu::iommufd {

// Threads: any.
class EventQueue final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::event_queue;

  // `depth`: events that it holds; more are lost.
  EventQueue(std::shared_ptr<Viommu> viommu, std::uint32_t type, std::uint32_t depth);
  ~EventQueue() override;

  // Never fails; if there is no room the reader is told that events were lost. False: this one was.
  bool add(std::span<std::byte const> event) noexcept;

  // read(2) and poll(2).
  Result<std::uint64_t> read(Caller& caller, std::uint64_t to, std::uint64_t length);
  [[nodiscard]] bool readable() const;
  void on_readable(std::function<void(bool)> changed);

 private:
  struct Event {
    std::uint32_t sequence = 0;
    bool lost = false;  // stands for events that were lost, and has no bytes
    std::vector<std::byte> bytes;
  };

  Use<Viommu> const viommu_;
  std::uint32_t const kind_;
  std::uint32_t const depth_;
  mutable Mutex mutex_;
  std::deque<Event> events_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint32_t held_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // events that are not `lost`
  std::uint32_t sequence_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::function<void(bool)> changed_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::iommufd
