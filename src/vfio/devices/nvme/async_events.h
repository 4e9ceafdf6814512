// Asynchronous events, and the requests that wait for them. NVM Express 1.4, 5.2.
#pragma once
#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "swiommu/base/mutex.h"

namespace swiommu::vfio::nvme {

struct AsyncEvent {
  std::uint8_t type = 0, information = 0, log_page = 0;
  constexpr bool operator==(AsyncEvent const&) const = default;
  // Doubleword 0 of the completion.
  [[nodiscard]] std::uint32_t result() const { return type | information << 8 | log_page << 16; }
};

namespace event {
inline constexpr AsyncEvent invalid_doorbell_register{0, 0, 1}, invalid_doorbell_value{0, 1, 1}, temperature_threshold{1, 1, 2};
}

// Threads: any.
class AsyncEvents {
 public:
  static constexpr std::size_t most_requests = 4;  // Identify's AERL, which counts from 0

  AsyncEvents() {
    // All there can ever be: events come from calls that must not fail.
    pending_.reserve(kinds);
    told_.reserve(kinds);
    requests_.reserve(most_requests);
  }

  // Of several alike that nobody has been told yet one is kept.
  void add(AsyncEvent event);
  // False: as many requests are outstanding as there may be.
  [[nodiscard]] bool request(std::uint16_t command);
  // Is this command a request that waits? Then it does no more.
  [[nodiscard]] bool abort(std::uint16_t command);
  // The log page has been read: events that refer to it are told again.
  void unmask(std::uint8_t log_page);

  struct Delivery {
    std::uint16_t command = 0;
    AsyncEvent event;
  };
  [[nodiscard]] bool deliverable() const { return deliverable_.load(std::memory_order_acquire); }
  // Takes a request and an event for it. An event of that type is not told again until its log page is read.
  [[nodiscard]] std::optional<Delivery> deliver();
  void reset();

 private:
  static constexpr std::size_t kinds = 3;  // namespace event
  [[nodiscard]] std::size_t next() const SWIOMMU_REQUIRES(mutex_);
  void update() SWIOMMU_REQUIRES(mutex_) { deliverable_.store(next() != pending_.size() && !requests_.empty()); }

  mutable Mutex mutex_;
  std::vector<AsyncEvent> pending_ SWIOMMU_GUARDED_BY(mutex_);
  std::vector<std::uint16_t> requests_ SWIOMMU_GUARDED_BY(mutex_);
  std::vector<AsyncEvent> told_ SWIOMMU_GUARDED_BY(mutex_);  // whose types are masked
  std::atomic<bool> deliverable_ = false;
};

}  // namespace swiommu::vfio::nvme
