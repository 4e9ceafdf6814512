#include "vfio/devices/nvme/queue_table.h"

namespace swiommu::vfio::nvme {

std::shared_ptr<SubmissionQueue> QueueTable::submission(std::uint32_t id) const {
  Lock const lock(mutex_);
  return id < submission_.size() ? submission_[id] : nullptr;
}

std::shared_ptr<CompletionQueue> QueueTable::completion(std::uint32_t id) const {
  Lock const lock(mutex_);
  return id < completion_.size() ? completion_[id] : nullptr;
}

std::vector<std::shared_ptr<CompletionQueue>> QueueTable::completions() const {
  Lock const lock(mutex_);
  std::vector<std::shared_ptr<CompletionQueue>> all;
  for (auto const& each : completion_)
    if (each) all.push_back(each);
  return all;
}

void QueueTable::visit(FunctionRef<void(CompletionQueue const&)> visit) const {
  Lock const lock(mutex_);
  for (auto const& each : completion_)
    if (each) visit(*each);
}

bool QueueTable::any_for_io() const {
  Lock const lock(mutex_);
  for (std::size_t id = 1; id < submission_.size(); id++)
    if (submission_[id] || completion_[id]) return true;
  return false;
}

void QueueTable::add(std::shared_ptr<SubmissionQueue> queue) {
  Lock const lock(mutex_);
  submission_[queue->id()] = std::move(queue);
  version_.fetch_add(1, std::memory_order_release);
}

void QueueTable::add(std::shared_ptr<CompletionQueue> queue) {
  Lock const lock(mutex_);
  completion_[queue->options().id] = std::move(queue);
}

void QueueTable::remove_submission(std::uint16_t id) {
  std::shared_ptr<SubmissionQueue> queue;
  {
    Lock const lock(mutex_);
    queue.swap(submission_[id]);
    version_.fetch_add(1, std::memory_order_release);
  }
  if (queue) queue->close();
}

void QueueTable::remove_completion(std::uint16_t id) {
  Lock const lock(mutex_);
  if (completion_[id]) completion_[id]->close();
  completion_[id] = nullptr;
}

void QueueTable::clear() {
  for (std::uint32_t id = 0; id <= last(); id++) {
    remove_submission(static_cast<std::uint16_t>(id));
    remove_completion(static_cast<std::uint16_t>(id));
  }
}

std::vector<std::shared_ptr<SubmissionQueue>> QueueTable::share(unsigned number, unsigned shares) const {
  Lock const lock(mutex_);
  std::vector<std::shared_ptr<SubmissionQueue>> mine;
  for (std::size_t id = 1; id < submission_.size(); id++)
    if (submission_[id] && (id - 1) % shares == number) mine.push_back(submission_[id]);
  return mine;
}

}  // namespace swiommu::vfio::nvme
