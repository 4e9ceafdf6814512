#include "swiommu/base/grace_period.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
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
  auto const each = [&](auto visit) {
    for (Epoch* epoch : epochs)
      if (epoch != nullptr) visit(*epoch);
  };
  auto const all = [&](auto holds) {
    return std::ranges::all_of(epochs, [&](Epoch* epoch) { return epoch == nullptr || holds(*epoch); });
  };
  if (!all([](Epoch& epoch) { return epoch.orders_itself(); })) {
    // As long as one of them needs the barrier, it does for the others too.
    auto const this_wait = reinterpret_cast<std::uintptr_t>(&saved);
    if (all([](Epoch const& epoch) { return epoch.has_few_guards(); })) each([&](Epoch& epoch) { epoch.prepare(this_wait); });
    barrier_on_all_threads();
    each([&](Epoch& epoch) { epoch.settle(this_wait); });
  }
  each([](Epoch const& epoch) { epoch.wait_for_leave(); });
  errno = saved;
#endif
}

// Of a guard, behind the store that announces it. Compilers leave out a read-modify-write that changes nothing and whose result
// nobody looks at (LLVM on x86), fence and all: hence no fetch_add(0) here.
void Epoch::order_guard() noexcept {
  for (auto order = order_.load(std::memory_order_relaxed);;) {
    if (order == by_guards_always) {
      order_.exchange(by_guards_always, std::memory_order_acq_rel);
      return;
    }
    if (order == by_guards || order == by_guards_waited_for) {
      without_wait_ = order == by_guards_waited_for ? 0 : without_wait_ + 1;
      // A wait that comes between the load and this is not noticed, which does no harm but to the count.
      order_.exchange(without_wait_ < few_guards ? by_guards : by_waits, std::memory_order_acq_rel);
      return;
    }
    if (order_.compare_exchange_strong(order, order, std::memory_order_acq_rel)) return;  // a wait that prepares
  }
}

// True: from here on the remover sees each guard that it has to wait for.
bool Epoch::orders_itself() noexcept {
  auto order = order_.load(std::memory_order_relaxed);
  if (order == by_guards_always) {
    order_.exchange(by_guards_always, std::memory_order_acq_rel);
    return true;
  }
  while (order == by_guards || order == by_guards_waited_for)
    if (order_.compare_exchange_weak(order, by_guards_waited_for, std::memory_order_acq_rel, std::memory_order_relaxed))
      return true;
  return false;
}

bool Epoch::has_few_guards() const noexcept {
  auto const since = word_.load(std::memory_order_relaxed) - last_seen_.load(std::memory_order_relaxed);  // entered and left
  return order_.load(std::memory_order_relaxed) != by_waits || since < 2 * few_guards;
}

// What another wait has prepared may be left over in a child that was forked just then: it is taken over.
void Epoch::prepare(std::uintptr_t wait) noexcept {
  auto order = order_.load(std::memory_order_relaxed);
  if (order != by_guards && order != by_guards_waited_for && order != by_guards_always)
    order_.compare_exchange_strong(order, wait, std::memory_order_acq_rel);
}

// Behind this wait's barrier. If it was another wait that prepared it, that one's barrier may be still to come.
void Epoch::settle(std::uintptr_t wait) noexcept {
  last_seen_.store(word_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  if (order_.load(std::memory_order_relaxed) == wait)
    order_.compare_exchange_strong(wait, by_guards_waited_for, std::memory_order_acq_rel);
}

void Epoch::wait_for_leave() const noexcept {
  auto const seen = word_.load(std::memory_order_acquire);
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
