// No handler of the program runs meanwhile in this thread, and none ever does in threads that are made meanwhile.
#pragma once
#include <csignal>

#include "run/kernel_call.h"

namespace swiommu::run {

class BlockedSignals {
 public:
  // The kernel's own call: the C library keeps two signals for itself, which other threads send for setuid and cancellation.
  BlockedSignals() {
    unsigned long const all = ~0UL & ~(3UL << 31);
    kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof all);
  }
  ~BlockedSignals() { kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_); }
  BlockedSignals(BlockedSignals const&) = delete;
  BlockedSignals& operator=(BlockedSignals const&) = delete;

 private:
  unsigned long before_ = 0;
};

}  // namespace swiommu::run
