// New processes: fork(2), vfork(2), posix_spawn(3) and what is made of them.
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "run/kernel_call.h"
#include "run/owner.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/processes.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

using namespace swiommu::run;

extern "C" {
// What vfork is to be: the next one, or nullptr for vfork_by_fork().
void* swiommu_run_next_vfork() __attribute__((visibility("hidden"), used));
pid_t swiommu_run_vfork_by_fork() __attribute__((visibility("hidden"), used));
}

SWIOMMU_EXPORTED(fork, run_fork)
SWIOMMU_EXPORTED(_Fork, run_bare_fork)
SWIOMMU_EXPORTED(posix_spawn, run_posix_spawn)
SWIOMMU_EXPORTED(posix_spawnp, run_posix_spawnp)
SWIOMMU_EXPORTED(system, run_system)
SWIOMMU_EXPORTED(popen, run_popen)

// vfork returns twice in one stack frame, so it must leave none: it is jumped to.
#if defined(__x86_64__)
asm(R"(
  .text
  .globl vfork
  .type vfork, @function
vfork:
  .cfi_startproc
  endbr64
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  call swiommu_run_next_vfork
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  testq %rax, %rax
  je swiommu_run_vfork_by_fork
  jmp *%rax
  .cfi_endproc
  .size vfork, . - vfork
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl vfork
  .type vfork, %function
vfork:
  .cfi_startproc
  stp x29, x30, [sp, #-16]!
  bl swiommu_run_next_vfork
  ldp x29, x30, [sp], #16
  cbz x0, 1f
  br x0
1:
  b swiommu_run_vfork_by_fork
  .cfi_endproc
  .size vfork, . - vfork
)");
#endif

namespace swiommu::run {

void before_new_process() {
  if (!anything_ours()) return;
  if (Owner* const owner = Owner::existing()) owner->serve_others();
}

pid_t in_child(pid_t pid) {
  int const kept = errno;
  if (pid == 0 && anything_ours()) process_state();
  errno = kept;
  return pid;
}

}  // namespace swiommu::run

pid_t run_fork() {
  before_new_process();
  return in_child(SWIOMMU_NEXT(fork, run_fork)());
}

pid_t run_bare_fork() {
  before_new_process();
  return in_child(SWIOMMU_NEXT(_Fork, run_bare_fork)());
}

void* swiommu_run_next_vfork() { return anything_ours() ? nullptr : reinterpret_cast<void*>(SWIOMMU_NEXT(vfork, run_fork)); }

// The child of a vfork uses its parent's memory, our table of descriptors included, but has descriptors of its own. It gets
// memory of its own instead; the parent waits, as after vfork, until the child calls exec or ends.
pid_t swiommu_run_vfork_by_fork() {
  std::array<int, 2> ends{-1, -1};
  if (kernel_call(SYS_pipe2, ends.data(), O_CLOEXEC) != 0) return run_fork();
  int const child_end = make_internal(ends[1]);
  before_new_process();
  pid_t const pid = SWIOMMU_NEXT(fork, run_fork)();
  if (pid == 0) {
    keep_in_child(child_end);
    kernel_call(SYS_close, ends[0]);
    return in_child(pid);
  }
  int const kept = errno;
  close_internal(child_end);
  char nothing = 0;
  while (pid > 0 && kernel_call(SYS_read, ends[0], &nothing, 1) == -EINTR) {
  }
  kernel_call(SYS_close, ends[0]);
  errno = kept;
  return pid;
}

int run_posix_spawn(pid_t* pid, char const* path, posix_spawn_file_actions_t const* actions, posix_spawnattr_t const* attributes,
                    char* const* arguments, char* const* environment) {
  before_new_process();
  return SWIOMMU_NEXT(posix_spawn, run_posix_spawn)(pid, path, actions, attributes, arguments, environment);
}

int run_posix_spawnp(pid_t* pid, char const* path, posix_spawn_file_actions_t const* actions, posix_spawnattr_t const* attributes,
                     char* const* arguments, char* const* environment) {
  before_new_process();
  return SWIOMMU_NEXT(posix_spawnp, run_posix_spawnp)(pid, path, actions, attributes, arguments, environment);
}

int run_system(char const* command) {
  before_new_process();
  return SWIOMMU_NEXT(system, run_system)(command);
}

FILE* run_popen(char const* command, char const* mode) {
  before_new_process();
  return SWIOMMU_NEXT(popen, run_popen)(command, mode);
}
