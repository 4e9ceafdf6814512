#include "run/program_handler.h"

#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>

#include "run/blocked_signals.h"
#include "run/futex_lock.h"
#include "run/kernel_call.h"

namespace swiommu::run {
namespace {

constinit std::atomic<bool> caught = false;
constinit FutexLock lock;
struct sigaction program{};

std::uint64_t bits_of(sigset_t const& set) {
  std::uint64_t bits = 0;  // what the kernel has of it
  std::memcpy(&bits, &set, sizeof bits);
  return bits;
}

constexpr std::uint64_t bit_of(int signal) { return std::uint64_t{1} << (signal - 1); }

void set_mask(std::uint64_t bits) { kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, &bits, nullptr, sizeof bits); }

// The access is made again, or the signal sent again, and ends the program.
void leave_to_system(int signal, siginfo_t const& information) {
  std::array<unsigned long, 4> const nothing{};  // SIG_DFL, as the kernel's struct sigaction has it
  kernel_call(SYS_rt_sigaction, signal, nothing.data(), nullptr, sizeof(std::uint64_t));
  if (information.si_code <= 0) kernel_call(SYS_tgkill, ::getpid(), kernel_call(SYS_gettid), signal);
}

}  // namespace

bool faults_are_caught() { return caught.load(std::memory_order_acquire); }

void detail::catch_faults(struct sigaction const& before) {
  program = before;
  caught.store(true, std::memory_order_release);
}

void exchange_program_handler(struct sigaction const* now, struct sigaction* before) {
  struct sigaction given{}, kept{};
  if (now != nullptr) given = *now;  // before the lock: the program's pointers may lead nowhere
  {
    BlockedSignals const signals;
    std::lock_guard const locked(lock);
    kept = program;
    if (now != nullptr) program = given;
  }
  if (before != nullptr) *before = kept;
}

void pass_to_program(int signal, siginfo_t* information, void* context) {
  struct sigaction handler{};
  exchange_program_handler(nullptr, &handler);
  bool const sent = information->si_code <= 0;
  if (handler.sa_handler == SIG_IGN && sent) return;
  if (handler.sa_handler == SIG_DFL || handler.sa_handler == SIG_IGN) return leave_to_system(signal, *information);
  if ((handler.sa_flags & SA_RESETHAND) != 0) {
    struct sigaction const none{};
    exchange_program_handler(&none, nullptr);
  }
  std::uint64_t mask = bits_of(static_cast<ucontext_t*>(context)->uc_sigmask) | bits_of(handler.sa_mask);
  if ((handler.sa_flags & SA_NODEFER) == 0) mask |= bit_of(signal);
  set_mask(mask);  // what was before comes back with the context
  if ((handler.sa_flags & SA_SIGINFO) != 0) return handler.sa_sigaction(signal, information, context);
  handler.sa_handler(signal);
}

}  // namespace swiommu::run
