// Memory that changes its place while devices use it: how DMA that meets the gap waits for the end of it.
#pragma once
#include <atomic>
#include <cstdint>

#include "swiommu/base/mutex.h"

namespace swiommu {

// One move at a time. While it lasts, what moves is mapped in no table, so DMA to it faults; whoever meets a fault asks
// passed(), outside of every guard, because the move waits for guards. DMA that does not fault does not look here.
class Moves {
 public:
  Moves() = default;
  Moves(Moves const&) = delete;
  Moves& operator=(Moves const&) = delete;

  // How many moves have begun and ended; odd while one is under way.
  [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Waits until no move is under way. True: one has ended since `seen` was the version, which is brought up to date, so that the
  // translation is to be done again. The calling thread is inside no guard.
  bool passed(std::uint64_t& seen) {
    std::uint64_t now = version();
    while (now & 1) {
      {
        SharedLock const until_it_ends(mutex_);
      }
      now = version();
    }
    if (now == seen) return false;
    seen = now;
    return true;
  }

  // A move, from the making of this object to its end. Lock order: before everything of domain/ and memory/.
  class SWIOMMU_THREAD_ATTRIBUTE(scoped_lockable) Move {
   public:
    explicit Move(Moves& moves) SWIOMMU_ACQUIRE(moves.mutex_) : moves_(moves) {
      moves_.mutex_.lock();
      moves_.version_.fetch_add(1, std::memory_order_acq_rel);
    }
    ~Move() SWIOMMU_RELEASE() {
      moves_.version_.fetch_add(1, std::memory_order_acq_rel);
      moves_.mutex_.unlock();
    }
    Move(Move const&) = delete;
    Move& operator=(Move const&) = delete;

   private:
    Moves& moves_;
  };

 private:
  std::atomic<std::uint64_t> version_ = 0;
  SharedMutex mutex_;
};

}  // namespace swiommu
