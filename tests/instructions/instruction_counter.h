// How many instructions a piece of code takes: the same at each run, on any machine, however busy.
#pragma once
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <optional>

#include "swiommu/base/function_ref.h"

namespace swiommu {

inline bool processes_may_be_traced() {
  pid_t const child = ::fork();
  if (child == 0) ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Of a whole run of `work`, which is done by a child process that is stepped through, and of reaching the end. Nothing if the
// child did not come to its end.
inline std::optional<std::uint64_t> count_instructions(FunctionRef<void()> work) {
  pid_t const child = ::fork();
  if (child < 0) return std::nullopt;
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    ::raise(SIGSTOP);
    work();
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  std::optional<std::uint64_t> counted;
  int status = 0;
  if (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    for (std::uint64_t count = 0; ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0; count++) {
      if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
      if (WSTOPSIG(status) == SIGSTOP) counted = count;
      if (WSTOPSIG(status) != SIGTRAP) break;
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  }
  return counted;
}

// The mean of one of `some`: `work(n)` does n, after it has done twice as many to get warm.
inline std::optional<double> count_instructions_each(unsigned some, FunctionRef<void(unsigned)> work) {
  work(2 * some);
  auto const once = count_instructions([&] { work(some); }), twice = count_instructions([&] { work(2 * some); });
  if (!once || !twice || *twice < *once) return std::nullopt;
  return static_cast<double>(*twice - *once) / some;
}

}  // namespace swiommu
