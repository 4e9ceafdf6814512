#include "swiommu/base/grace_period.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cerrno>
#include <chrono>

#include "swiommu/base/trace_point.h"

#if defined(__SANITIZE_THREAD__)
#define SWIOMMU_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SWIOMMU_THREAD_SANITIZER 1
#endif
#endif

namespace swiommu {

namespace {

bool membarrier(int command) { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A full barrier on every running thread of the process.
void barrier_on_all_threads() {
  for (unsigned attempt = 0; attempt < 64; ++attempt) {
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
    if (errno == EPERM)
      membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);  // a forked child may be new
    else
      ::sched_yield();  // ENOMEM passes
  }
  // A sandbox has taken membarrier away since create. What is left is that no processor holds a store back for long: store
  // buffers drain in well under a microsecond, so that waiting 10 ms does what the barrier does.
  auto const until = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
  while (std::chrono::steady_clock::now() < until) ::sched_yield();
}

}  // namespace

Result<GracePeriod> GracePeriod::create() {
#ifdef SWIOMMU_THREAD_SANITIZER
  return with_exchanges();
#else
  int const saved = errno;
  // The first real use is a trial: a filter may pass one command and refuse the other.
  bool const works = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  errno = saved;
  return GracePeriod(!works);
#endif
}

void GracePeriod::wait(std::span<Epoch* const> epochs) const noexcept {
#ifdef SWIOMMU_NO_GRACE_WAIT  // proves that the poison test finds a missing wait
  static_cast<void>(epochs);
  static_cast<void>(barrier_on_all_threads);
#else
  if (epochs.empty()) return;
  SWIOMMU_TRACE(grace_period_wait, epochs.size());
  int const saved = errno;
  if (!exchange_) barrier_on_all_threads();
  for (Epoch* epoch : epochs) {
    if (epoch != nullptr) epoch->wait_for_leave();
  }
  errno = saved;
#endif
}

void Epoch::wait_for_leave() noexcept {
  auto const seen = exchange_ ? word_.fetch_add(0, std::memory_order_acq_rel) : word_.load(std::memory_order_acquire);
  if (!inside(seen)) return;
  // A guard lasts some ten to some hundred nanoseconds, unless its thread is not running: then give it this processor.
  for (unsigned spins = 0; word_.load(std::memory_order_acquire) == seen; ++spins) {
    if (spins < 256)
      pause();
    else
      ::sched_yield();
  }
}

}  // namespace swiommu
