#include "vfio/devices/nvme/completion_queue.h"

#include <cstring>

namespace swiommu::vfio::nvme {

bool CompletionQueue::reserve() {
  Lock const lock(mutex_);
  // A mapping may have written it; what is wrong with it is look()'s business.
  (void)move_head(doorbell_.load());
  // one place stays empty, else full would look like empty (4.1.2)
  if (distance(head_, tail_) + reserved_ >= options_.entries - 1) {
    starved_ = true;
    return false;
  }
  reserved_++;
  return true;
}

void CompletionQueue::give_back() {
  Lock const lock(mutex_);
  reserved_--;
}

bool CompletionQueue::post(HostMemory& memory, Completion completion) {
  Lock const posting(posting_);
  std::uint32_t place = 0;
  {
    // Before the entry is there: the host may see it, and ring, before anything else happens here.
    Lock const lock(mutex_);
    reserved_--;
    place = tail_++;
    completion.status = static_cast<std::uint16_t>((completion.status & ~1u) | (phase_ ? 1 : 0));
    if (tail_ == options_.entries) {
      tail_ = 0;
      phase_ = !phase_;
    }
  }
  std::byte bytes[sizeof completion];
  std::memcpy(bytes, &completion, sizeof bytes);
  std::uint64_t const iova = options_.iova + std::uint64_t{place} * sizeof completion;
  constexpr std::size_t last = sizeof completion - sizeof(std::uint32_t);  // the word with the phase tag
  std::uint32_t word = 0;
  std::memcpy(&word, bytes + last, sizeof word);
  return memory.write(iova, std::span(bytes).first(last)) && memory.publish(iova + last, word);
}

bool CompletionQueue::move_head(std::uint32_t head) {
  if (head >= options_.entries || distance(head_, head) > distance(head_, tail_)) return false;
  head_ = head;
  return true;
}

bool CompletionQueue::ring(std::uint32_t head) {
  Lock const lock(mutex_);
  if (!move_head(head)) return false;
  doorbell_.store(head);
  return true;
}

bool CompletionQueue::look() {
  Lock const lock(mutex_);
  std::uint32_t const head = doorbell_.load();  // locked, as reserve() does it: an older head after a newer one would be wrong
  if (move_head(head)) return true;
  doorbell_.take_back(head, head_);
  return false;
}

bool CompletionQueue::empty() const {
  Lock const lock(mutex_);
  return head_ == tail_;
}

bool CompletionQueue::freed() {
  Lock const lock(mutex_);
  if (!starved_ || distance(head_, tail_) + reserved_ >= options_.entries - 1) return false;
  starved_ = false;
  return true;
}

}  // namespace swiommu::vfio::nvme
