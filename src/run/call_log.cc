#include "run/call_log.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>

#include "run/environment.h"
#include "run/kernel_call.h"
#include "run/process_state.h"

namespace swiommu::run {
namespace {

constexpr int none = -1;

int open_log() {
  char const* const name = std::getenv(log_variable);
  if (name == nullptr || *name == 0) return none;
  long const opened = std::string_view(name) == "-"
                          ? kernel_call(SYS_fcntl, 2, F_DUPFD_CLOEXEC, 3)
                          : kernel_call(SYS_openat, AT_FDCWD, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  return opened < 0 ? none : make_internal(static_cast<int>(opened));
}

// Kept as number + 2, so that 0 is "not looked yet" and 1 "there is none".
int log_descriptor() {
  std::atomic<int>& kept = process_state().log_plus_2;
  int seen = kept.load(std::memory_order_acquire);
  if (seen == 0) {
    int const opened = open_log();
    if (kept.compare_exchange_strong(seen, opened + 2)) return opened;
    if (opened >= 0) close_internal(opened);
  }
  return seen - 2;
}

}  // namespace

bool logging() { return log_descriptor() != none; }

void write_log(pid_t process, std::string_view line) {
  int const descriptor = log_descriptor();
  if (descriptor == none) return;
  std::array<char, 24> who;
  auto const end = fmt::format_to_n(who.data(), who.size(), "[{}] ", process != 0 ? process : process_state().pid).out;
  char feed = '\n';
  std::array<iovec, 3> const parts{iovec{who.data(), static_cast<std::size_t>(end - who.data())},
                                   iovec{const_cast<char*>(line.data()), line.size()}, iovec{&feed, 1}};
  kernel_call(SYS_writev, descriptor, parts.data(), parts.size());
}

}  // namespace swiommu::run
