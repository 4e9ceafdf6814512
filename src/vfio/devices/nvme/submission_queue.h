// A submission queue: the host adds at its tail, the controller takes at its head. NVM Express 1.4, 4.1.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "swiommu/base/mutex.h"
#include "vfio/devices/nvme/completion_queue.h"

namespace swiommu::vfio::nvme {

// Threads: any; fetching is of the one that holds `running`.
class SubmissionQueue {
 public:
  SubmissionQueue(Registers& registers, std::uint16_t id, std::uint64_t iova, std::uint32_t entries,
                  std::shared_ptr<CompletionQueue> completions)
      : id_(id),
        iova_(iova),
        entries_(entries),
        completions_(std::move(completions)),
        doorbell_(registers, Doorbell::Of::submission_tail, id) {
    doorbell_.store(0);
  }

  [[nodiscard]] std::uint16_t id() const { return id_; }
  [[nodiscard]] CompletionQueue& completions() const { return *completions_; }
  [[nodiscard]] std::uint32_t head() const { return head_.load(std::memory_order_acquire); }

  // What the doorbell is written with. False: no tail of this queue (5.2, invalid doorbell write value).
  [[nodiscard]] bool ring(std::uint32_t tail) {
    if (tail >= entries_) return false;
    doorbell_.store(tail);
    return true;
  }
  // Looks at the doorbell that a mapping may have written. As ring().
  [[nodiscard]] bool look() {
    std::uint32_t const tail = doorbell_.load();
    if (tail < entries_) {
      tail_ = tail;
      return true;
    }
    doorbell_.take_back(tail, tail_);
    return false;
  }
  [[nodiscard]] bool empty() const { return tail_ == head(); }

  // The next command; false if DMA met a fault. Not empty.
  [[nodiscard]] bool fetch(HostMemory& memory, Command& command) {
    std::uint32_t const head = head_.load(std::memory_order_relaxed);
    if (!memory.read(iova_ + std::uint64_t{head} * sizeof command, std::as_writable_bytes(std::span(&command, 1)))) return false;
    head_.store(head + 1 == entries_ ? 0 : head + 1, std::memory_order_release);
    return true;
  }

  // The queue is deleted: when this returns, nothing is fetched any more, and the doorbell is nobody's.
  void close() {
    Lock const lock(running);
    closed = true;
    doorbell_.store(0);
  }

  // Held while a command of the queue is run. Who holds it may ask for a pass of the gate, which is not waited for.
  Mutex running;
  bool closed SWIOMMU_GUARDED_BY(running) = false;  // deleted: nothing is fetched any more

 private:
  std::uint16_t const id_;
  std::uint64_t const iova_;
  std::uint32_t const entries_;
  std::shared_ptr<CompletionQueue> const completions_;
  Doorbell doorbell_;
  std::uint32_t tail_ = 0;  // the last valid one that look() has seen
  std::atomic<std::uint32_t> head_ = 0;
};

}  // namespace swiommu::vfio::nvme
