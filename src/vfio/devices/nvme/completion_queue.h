// A completion queue: the controller adds at its tail, the host takes at its head. NVM Express 1.4, 4.1.
#pragma once
#include <atomic>
#include <cstdint>

#include "swiommu/base/mutex.h"
#include "vfio/devices/nvme/host_memory.h"
#include "vfio/devices/nvme/registers.h"

namespace swiommu::vfio::nvme {

struct CompletionQueueOptions {
  std::uint16_t id = 0;
  std::uint64_t iova = 0;
  std::uint32_t entries = 0;
  std::uint16_t vector = 0;
  bool interrupts = false;
};

// Threads: any.
class CompletionQueue {
 public:
  CompletionQueue(Registers& registers, CompletionQueueOptions const& options)
      : options_(options), doorbell_(registers, Doorbell::Of::completion_head, options.id) {
    doorbell_.store(0);
  }

  [[nodiscard]] CompletionQueueOptions const& options() const { return options_; }

  // A place for one completion; false if there is none until the host moves the head on, which freed() then tells once.
  [[nodiscard]] bool reserve();
  void give_back();
  // Into the place that was reserved. False: DMA met a fault.
  [[nodiscard]] bool post(HostMemory& memory, Completion completion);

  // What the doorbell is written with. False: it is no head that the host can have got to (5.2, invalid doorbell write value).
  [[nodiscard]] bool ring(std::uint32_t head);
  // Looks at the doorbell that a mapping may have written. As ring().
  [[nodiscard]] bool look();
  // The queue is deleted: its doorbell is nobody's.
  void close() {
    Lock const lock(mutex_);
    doorbell_.store(0);
  }
  [[nodiscard]] bool empty() const;
  // True once after the head has moved on since reserve() found no place.
  [[nodiscard]] bool freed();

  // Submission queues that use it; of the thread that runs admin commands.
  unsigned users = 0;

 private:
  [[nodiscard]] bool move_head(std::uint32_t head) SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::uint32_t distance(std::uint32_t from, std::uint32_t to) const {
    return to >= from ? to - from : to + options_.entries - from;
  }

  CompletionQueueOptions const options_;
  Mutex posting_;        // before mutex_; held while an entry is written, so that entries appear in order
  mutable Mutex mutex_;  // never held during DMA
  Doorbell doorbell_;
  std::uint32_t head_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // the last valid one
  std::uint32_t tail_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::uint32_t reserved_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  bool phase_ SWIOMMU_GUARDED_BY(mutex_) = true;
  bool starved_ SWIOMMU_GUARDED_BY(mutex_) = false;
};

}  // namespace swiommu::vfio::nvme
