// A mutex that is unlocked when its memory is zero, so that a forked child can be given a fresh one by wiping the page.
#pragma once
#include <linux/futex.h>

#include <atomic>
#include <cstdint>

#include "run/kernel_call.h"

namespace swiommu::run {

class FutexLock {
 public:
  void lock() {
    std::uint32_t expected = 0;
    if (word_.compare_exchange_strong(expected, 1, std::memory_order_acquire)) return;
    while (word_.exchange(2, std::memory_order_acquire) != 0)
      kernel_call(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 2, nullptr, nullptr, 0);
  }
  void unlock() {
    if (word_.exchange(0, std::memory_order_release) == 2)
      kernel_call(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

 private:
  std::atomic<std::uint32_t> word_ = 0;  // 1: locked; 2: locked, and somebody may wait
};

}  // namespace swiommu::run
