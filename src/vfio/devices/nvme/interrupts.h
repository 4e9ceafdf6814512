// When completions interrupt the host. NVM Express 1.4, 7.5.
#pragma once
#include <cstdint>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/vfio/device_model.h"
#include "vfio/devices/nvme/queue_table.h"

namespace swiommu::vfio::nvme {

// Threads: any.
class Interrupts {
 public:
  Interrupts(Slot& slot, std::uint16_t last_queue) : slot_(slot), asserts_(last_queue + 1u) {}

  // A completion has been posted.
  void posted(CompletionQueue const& queue);
  // The host has moved the head on.
  void taken(CompletionQueue const& queue);
  // The queue is deleted.
  void forget(std::uint16_t queue);
  // INTMS and INTMC, 3.1.3: bits of vectors 0 to 31. What waits behind a bit that is cleared is sent.
  void set_mask(std::uint32_t set, std::uint32_t clear, QueueTable const& queues);
  [[nodiscard]] std::uint32_t mask() const;
  void reset();

 private:
  [[nodiscard]] bool masked(CompletionQueue const& queue) const SWIOMMU_REQUIRES(mutex_);
  void look_at(CompletionQueue const& queue) SWIOMMU_REQUIRES(mutex_);
  void set(std::uint16_t queue, bool asserts) SWIOMMU_REQUIRES(mutex_);

  Slot& slot_;
  mutable Mutex mutex_;  // before the queue table's; held while the slot is told, so that it is told in order
  std::uint32_t mask_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::vector<bool> asserts_ SWIOMMU_GUARDED_BY(mutex_);  // by queue: INTA# is asserted for it
  unsigned asserting_ SWIOMMU_GUARDED_BY(mutex_) = 0;
};

}  // namespace swiommu::vfio::nvme
