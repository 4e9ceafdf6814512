// Grace period: how the side that removes something waits until no DMA uses it any more, while the DMA side pays nothing.
// All ordering tricks of the library are in this file and grace_period.cc.
//
//   reader (one per epoch)          remover
//     epoch.enter();                  unpublish (a store that readers look at inside their guard)
//     look up, use                    grace.wait(epochs)
//     epoch.leave();                  reuse, free, or return to the caller
//
// Claim: after wait, every guard that could have seen what was unpublished has been left, and its accesses are over.
//
// Why, with membarrier. It makes every running thread of the process execute a full barrier while the call lasts (the others
// got one when they were switched out). Take a guard whose thread executes that barrier
//   - after enter's store: the store is visible to the remover's loads, which follow the call. The remover sees the epoch
//     inside and waits for another value, or sees that it has left already;
//   - before enter's store: all loads of the guard come after the barrier, hence after the unpublishing store, and see it.
// The compiler keeps the guard's accesses behind enter's store (signal fence). enter and leave store with release and the
// remover loads with acquire, so the accesses of a guard that was left come before what the remover does next. A value that
// differs from the one first seen is enough: a guard entered since then is of the second kind, for an enter's store of the
// first kind was visible to that first load.
//
// Why, where guards order themselves: those of a port with few of them from one wait to the next (below), and all where
// membarrier is missing, and under ThreadSanitizer, which knows neither membarrier nor fences. Behind its store, enter does a
// read-modify-write of a second word of the epoch, and the remover does one before it looks. The two have an order: if the
// guard's comes first, its store is visible to the look; if the remover's comes first, the guard sees what was unpublished.
//
// A membarrier costs both sides as much as some thousand read-modify-writes. A wait that finds that a port has entered fewer
// guards since the last one (an idle port: none) says so in the second word, and only after its membarrier that the port's
// guards order themselves. A guard that was announced without a look at the word was announced before that barrier, and is
// visible to all later waits. One that sees the word orders itself. After so many guards without a wait the port empties the word
// by its read-modify-write: a remover's that comes before orders this guard and all later ones, one that comes after finds it
// empty and calls membarrier.
#pragma once
#include <atomic>
#include <cstdint>
#include <span>

#include "swiommu/base/result.h"

namespace swiommu {

namespace grace_period {
// Guards that this thread holds: the only thread-local state of the library. Needs no dynamic lookup on the DMA path.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local unsigned guards_held = 0;
}  // namespace grace_period

// Number of guards that the calling thread holds. Whatever may wait (invalidate, unmap, detach) must refuse with EDEADLK,
// before it changes anything, if this is not 0.
[[nodiscard]] inline unsigned guards_held() noexcept { return grace_period::guards_held; }
[[nodiscard]] inline Result<void> refuse_inside_guard() {
  if (guards_held() != 0) return fail(EDEADLK, "this thread is inside a DMA guard, which the call would wait for");
  return {};
}

class Epoch;

// Threads: everything may be called from any thread at any time. A value; copies are the same.
class GracePeriod {
 public:
  // Registers the process for membarrier. Where the kernel or a sandbox refuses that, the exchange mode is chosen instead: no
  // error is possible at present. A program that enters a sandbox later must go on allowing membarrier and sched_yield.
  [[nodiscard]] static Result<GracePeriod> create();

  // Never calls membarrier, for programs whose sandbox forbids it; each enter and leave costs a locked instruction.
  [[nodiscard]] static GracePeriod with_exchanges() { return GracePeriod(true); }

  [[nodiscard]] bool uses_membarrier() const { return !exchange_; }

  // Returns when each guard that was held at the call, of the epochs given, has been left. Costs one membarrier however many
  // they are, and none if the guards of all order themselves. The epochs must have been made with this GracePeriod, and the
  // caller keeps them alive; the span may be a snapshot collected without a lock, if an epoch missing from it can only enter
  // after the unpublishing store is visible to it; null pointers in it are skipped. Waits for ever for an epoch in which the
  // calling thread is itself: ask guards_held() first. Never sleeps; yields the processor after a short spin. Keeps errno.
  void wait(std::span<Epoch* const> epochs) const noexcept;

 private:
  friend class Epoch;
  explicit GracePeriod(bool exchange) : exchange_(exchange) {}
  bool exchange_;
};

// Announces the guards of one DMA port. enter and leave belong to the thread that has the port at the time, a guard is left by
// the thread that entered it; a port changes threads only outside a guard. Alone in its cache lines.
class alignas(64) Epoch {
 public:
  explicit Epoch(GracePeriod const& grace) : order_(grace.exchange_ ? by_guards_always : by_waits) {}
  Epoch(Epoch const&) = delete;
  Epoch& operator=(Epoch const&) = delete;

  // Precondition: !active(). No locked instruction, unless membarrier is missing, or waits come every few guards.
  // Returns what leave() is given.
  std::uint64_t enter() noexcept {
    ++grace_period::guards_held;
    // Release for the guard before: who waits for its end may see this value instead of leave's. A plain store on x86.
    std::uint64_t const entered = word_.load(std::memory_order_relaxed) + 1;
    word_.store(entered, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (order_.load(std::memory_order_relaxed) != by_waits) [[unlikely]]
      order_guard();
    return entered;
  }

  // Precondition: active(), entered by this thread.
  // `entered` saves loading what was stored just before.
  void leave(std::uint64_t entered) noexcept {
    --grace_period::guards_held;
    word_.store(entered + 1, std::memory_order_release);
  }

  void leave() noexcept { leave(word_.load(std::memory_order_relaxed)); }

  // Is a guard held? Reliable only on the thread that has the port.
  [[nodiscard]] bool active() const noexcept { return inside(word_.load(std::memory_order_relaxed)); }

  // A port with fewer guards from one wait to the next orders them itself.
  static constexpr std::uint32_t few_guards = 2048;

 private:
  friend class GracePeriod;
  static bool inside(std::uint64_t word) { return (word & 1) != 0; }

  [[gnu::cold]] void order_guard() noexcept;
  // Of a wait, which is named by an address of its own.
  [[nodiscard]] bool orders_itself() noexcept;
  [[nodiscard]] bool has_few_guards() const noexcept;
  void prepare(std::uintptr_t wait) noexcept;
  void settle(std::uintptr_t wait) noexcept;
  void wait_for_leave() const noexcept;

  // Who orders enter's store against a remover's look. Anything else is the wait that is about to leave it to the guards: they do
  // it already, but membarrier is still needed.
  static constexpr std::uintptr_t by_waits = 0, by_guards = 1, by_guards_waited_for = 2, by_guards_always = 3;

  std::atomic<std::uint64_t> word_ = 0;  // odd inside a guard
  std::atomic<std::uintptr_t> order_;    // changed by read-modify-writes only; here, so that enter looks at no other line
  std::uint32_t without_wait_ = 0;       // guards that ordered themselves since the port noticed a wait; the port's own
  alignas(64) std::atomic<std::uint64_t> last_seen_ = 0;  // `word_` at the last wait that needed a membarrier
};

}  // namespace swiommu
