#include "vfio/devices/nvme/interrupts.h"

namespace swiommu::vfio::nvme {

bool Interrupts::masked(CompletionQueue const& queue) const {
  std::uint16_t const vector = queue.options().vector;
  return vector < 32 && (mask_ >> vector & 1) != 0;
}

void Interrupts::set(std::uint16_t queue, bool asserts) {
  if (asserts_[queue] == asserts) return;
  asserts_[queue] = asserts;
  unsigned const before = asserting_;
  asserting_ += asserts ? 1 : -1u;
  if ((before == 0) != (asserting_ == 0)) slot_.set_line(asserts);
}

void Interrupts::look_at(CompletionQueue const& queue) {
  set(queue.options().id, queue.options().interrupts && !queue.empty() && !masked(queue));
}

void Interrupts::posted(CompletionQueue const& queue) {
  if (!queue.options().interrupts) return;
  Lock const lock(mutex_);
  look_at(queue);
  if (!masked(queue)) slot_.raise(queue.options().vector);
}

// Never asserts anything: the queue may have been deleted meanwhile.
void Interrupts::taken(CompletionQueue const& queue) {
  Lock const lock(mutex_);
  if (queue.empty()) set(queue.options().id, false);
}

void Interrupts::forget(std::uint16_t queue) {
  Lock const lock(mutex_);
  set(queue, false);
}

void Interrupts::set_mask(std::uint32_t set, std::uint32_t clear, QueueTable const& queues) {
  Lock const lock(mutex_);
  std::uint32_t const before = mask_;
  mask_ = (mask_ | set) & ~clear;
  queues.visit([&](CompletionQueue const& queue) SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    look_at(queue);
    std::uint16_t const vector = queue.options().vector;
    bool const unmasked = vector < 32 && ((before & ~mask_) >> vector & 1) != 0;
    if (unmasked && queue.options().interrupts && !queue.empty() && slot_.bus_master()) slot_.raise(vector);
  });
}

std::uint32_t Interrupts::mask() const {
  Lock const lock(mutex_);
  return mask_;
}

void Interrupts::reset() {
  Lock const lock(mutex_);
  mask_ = 0;
  for (std::size_t queue = 0; queue < asserts_.size(); queue++) set(static_cast<std::uint16_t>(queue), false);
}

}  // namespace swiommu::vfio::nvme
