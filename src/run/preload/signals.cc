// sigaction(2), signal(2) and their kin: while faults are caught, ours comes before the program's handler, and no thread blocks
// them.
#include <csignal>

#include "run/chosen_devices.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/program_handler.h"

using namespace swiommu::run;

extern "C" {
int run_sigaction(int signal, struct sigaction const* now, struct sigaction* before);
sighandler_t run_signal(int signal, sighandler_t handler);
sighandler_t run_sysv_signal(int signal, sighandler_t handler);
int run_sigprocmask(int how, sigset_t const* set, sigset_t* before);
int run_pthread_sigmask(int how, sigset_t const* set, sigset_t* before);
}

SWIOMMU_EXPORTED(sigaction, run_sigaction)
SWIOMMU_EXPORTED(__sigaction, run_sigaction)
SWIOMMU_EXPORTED(signal, run_signal)
SWIOMMU_EXPORTED(bsd_signal, run_signal)
SWIOMMU_EXPORTED(sysv_signal, run_sysv_signal)
SWIOMMU_EXPORTED(__sysv_signal, run_sysv_signal)
SWIOMMU_EXPORTED(sigprocmask, run_sigprocmask)
SWIOMMU_EXPORTED(pthread_sigmask, run_pthread_sigmask)

namespace {

bool is_ours(int signal) { return signal == SIGSEGV && faults_are_caught(); }

sighandler_t exchange(sighandler_t handler, int flags) {
  struct sigaction now{}, before{};
  now.sa_handler = handler;
  now.sa_flags = flags;
  exchange_program_handler(&now, &before);
  return before.sa_handler;
}

// A fault that is blocked ends the program. Registers may be mapped later than signals are blocked.
bool is_blocked(sigset_t const& set) { return sigismember(&set, SIGSEGV) == 1 && count_of_devices() != 0; }

// What a thread may block.
class Blockable {
 public:
  Blockable(int how, sigset_t const* set) : set_(set) {
    if (set == nullptr || how == SIG_UNBLOCK || !is_blocked(*set)) return;
    copy_ = *set;
    sigdelset(&copy_, SIGSEGV);
    set_ = &copy_;
  }
  [[nodiscard]] sigset_t const* set() const { return set_; }

 private:
  sigset_t copy_{};
  sigset_t const* set_;
};

}  // namespace

int run_sigaction(int signal, struct sigaction const* now, struct sigaction* before) {
  if (is_ours(signal)) {
    exchange_program_handler(now, before);
    return 0;
  }
  struct sigaction copy{};
  if (now != nullptr && is_blocked(now->sa_mask)) {
    copy = *now;
    sigdelset(&copy.sa_mask, SIGSEGV);
    now = &copy;
  }
  return SWIOMMU_NEXT(sigaction, run_sigaction)(signal, now, before);
}

sighandler_t run_signal(int signal, sighandler_t handler) {
  if (!is_ours(signal)) return SWIOMMU_NEXT(signal, run_signal)(signal, handler);
  return exchange(handler, SA_RESTART);
}

sighandler_t run_sysv_signal(int signal, sighandler_t handler) {
  if (!is_ours(signal)) return SWIOMMU_NEXT(__sysv_signal, run_sysv_signal)(signal, handler);
  return exchange(handler, SA_RESETHAND | SA_NODEFER);
}

int run_sigprocmask(int how, sigset_t const* set, sigset_t* before) {
  return SWIOMMU_NEXT(sigprocmask, run_sigprocmask)(how, Blockable(how, set).set(), before);
}

int run_pthread_sigmask(int how, sigset_t const* set, sigset_t* before) {
  return SWIOMMU_NEXT(pthread_sigmask, run_pthread_sigmask)(how, Blockable(how, set).set(), before);
}
