// Which queues there are.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/mutex.h"
#include "vfio/devices/nvme/submission_queue.h"

namespace swiommu::vfio::nvme {

// Threads: any; changes are one at a time.
class QueueTable {
 public:
  // With numbers up to `last`.
  explicit QueueTable(std::uint16_t last) : last_(last), submission_(last + 1u), completion_(last + 1u) {}

  [[nodiscard]] std::uint16_t last() const { return last_; }
  // Null: there is none.
  [[nodiscard]] std::shared_ptr<SubmissionQueue> submission(std::uint32_t id) const;
  [[nodiscard]] std::shared_ptr<CompletionQueue> completion(std::uint32_t id) const;
  [[nodiscard]] std::vector<std::shared_ptr<CompletionQueue>> completions() const;
  // While no queue comes or goes.
  void visit(FunctionRef<void(CompletionQueue const&)> visit) const;
  [[nodiscard]] bool any_for_io() const;

  void add(std::shared_ptr<SubmissionQueue> queue);
  void add(std::shared_ptr<CompletionQueue> queue);
  // Waits for the command that is being run.
  void remove_submission(std::uint16_t id);
  void remove_completion(std::uint16_t id);
  void clear();

  // Another after each change, of the submission queues alone.
  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  // The I/O submission queues of one of `shares` threads.
  [[nodiscard]] std::vector<std::shared_ptr<SubmissionQueue>> share(unsigned number, unsigned shares) const;

 private:
  std::uint16_t const last_;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<SubmissionQueue>> submission_ SWIOMMU_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<CompletionQueue>> completion_ SWIOMMU_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> version_ = 0;
};

}  // namespace swiommu::vfio::nvme
