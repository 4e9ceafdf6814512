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
  static constexpr char const* file_name = "[iommufd-viommu-event]";

  // `depth`: events that it holds; more are lost.
  EventQueue(std::shared_ptr<Viommu> viommu, std::uint32_t type, std::uint32_t depth);
  ~EventQueue() override;
  // Makes it the queue of its type. EEXIST. ENOMEM.
  Result<void> join(std::shared_ptr<EventQueue> const& self);

  // If there is no room the event is lost, and the reader is told so. ENOMEM: the same.
  Result<void> add(std::span<std::byte const> event);

  // read(2): whole events, 0 if there is none. EINVAL: no room for a header, or for the first event; EFAULT. poll(2).
  Result<std::uint64_t> read(Caller& caller, std::uint64_t to, std::uint64_t length);
  [[nodiscard]] bool readable() const;
  void on_readable(std::function<void(bool)> changed);

 private:
  struct Event {
    std::uint32_t sequence = 0;
    std::vector<std::byte> bytes;
  };
  Result<std::uint64_t> deliver(Caller& caller, std::uint64_t to, std::uint64_t room) SWIOMMU_REQUIRES(mutex_);
  void tell() SWIOMMU_REQUIRES(mutex_);

  Use<Viommu> const viommu_;
  std::uint32_t const kind_;
  std::uint32_t const depth_;
  bool joined_ = false;
  mutable Mutex mutex_;
  std::deque<Event> events_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint32_t sequence_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // of the next event, lost or not
  // A mark behind all events: the one with this number was lost, and perhaps some before it.
  bool lost_ SWIOMMU_GUARDED_BY(mutex_) = false;
  std::uint32_t lost_sequence_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::function<void(bool)> changed_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::iommufd
