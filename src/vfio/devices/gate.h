// Where DMA is begun, and can be held up.
#pragma once
#include <condition_variable>

#include "swiommu/base/mutex.h"

namespace swiommu::vfio {

// Threads: any.
class Gate {
 public:
  // The time in which a thread may do DMA; false if the gate is closed.
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(gate), granted_(gate.enter()) {}
    ~Pass() {
      if (granted_) gate_.leave();
    }
    Pass(Pass const&) = delete;
    Pass& operator=(Pass const&) = delete;
    explicit operator bool() const { return granted_; }

   private:
    Gate& gate_;
    bool const granted_;
  };

  // Waits until nobody has a pass. As often as it is closed it must be opened. Not by who has a pass.
  void close() {
    Lock const lock(mutex_);
    closed_++;
    while (inside_ != 0) left_.wait(mutex_);
  }
  // For who has a pass and could go on for long.
  [[nodiscard]] bool closed() const {
    Lock const lock(mutex_);
    return closed_ != 0;
  }
  void open() {
    Lock const lock(mutex_);
    closed_--;
  }

 private:
  bool enter() {
    Lock const lock(mutex_);
    if (closed_ != 0) return false;
    inside_++;
    return true;
  }
  void leave() {
    Lock const lock(mutex_);
    if (--inside_ == 0 && closed_ != 0) left_.notify_all();
  }

  mutable Mutex mutex_;
  std::condition_variable_any left_;
  unsigned closed_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  unsigned inside_ SWIOMMU_GUARDED_BY(mutex_) = 0;
};

}  // namespace swiommu::vfio
