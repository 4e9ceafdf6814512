// syscall(2): the same calls by number.
#include <fcntl.h>

#include <bit>
#include <cstdarg>

#include "run/kernel_call.h"
#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/processes.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

using namespace swiommu::run;

extern "C" long run_syscall(long number, ...);
SWIOMMU_EXPORTED(syscall, run_syscall)

namespace {

struct Arguments {
  long a, b, c, d, e, f;
};

template <class T>
T* pointer(long argument) {
  return std::bit_cast<T*>(argument);
}

int small(long argument) { return static_cast<int>(argument); }

long pass(long number, Arguments const& x) { return answer(kernel_call(number, x.a, x.b, x.c, x.d, x.e, x.f)); }

// A process that shares its parent's memory and not its descriptors is not understood here, as after vfork(2); no other is.
long make_process(long number, Arguments const& x) {
  before_new_process();
  long const result = pass(number, x);
  if (result == 0) in_child(0);
  return result;
}

}  // namespace

long run_syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  Arguments x;
  x.a = va_arg(rest, long);
  x.b = va_arg(rest, long);
  x.c = va_arg(rest, long);
  x.d = va_arg(rest, long);
  x.e = va_arg(rest, long);
  x.f = va_arg(rest, long);
  va_end(rest);
  switch (number) {
#ifdef SYS_open
    case SYS_open: return run_open(pointer<char const>(x.a), small(x.b), static_cast<mode_t>(x.c));
    case SYS_creat: return run_creat(pointer<char const>(x.a), static_cast<mode_t>(x.b));
    case SYS_dup2: return run_dup2(small(x.a), small(x.b));
    case SYS_access: return run_access(pointer<char const>(x.a), small(x.b));
    case SYS_fork:
    case SYS_vfork: return run_fork();
#endif
    case SYS_openat: return run_openat(small(x.a), pointer<char const>(x.b), small(x.c), static_cast<mode_t>(x.d));
    case SYS_close: return run_close(small(x.a));
    case SYS_close_range: return run_close_range(static_cast<unsigned>(x.a), static_cast<unsigned>(x.b), small(x.c));
    case SYS_dup: return run_dup(small(x.a));
    case SYS_dup3: return run_dup3(small(x.a), small(x.b), small(x.c));
    case SYS_fcntl: return run_fcntl(small(x.a), small(x.b), x.c);
    case SYS_ioctl: return run_ioctl(small(x.a), static_cast<unsigned long>(x.b), x.c);
    case SYS_read: return run_read(small(x.a), pointer<void>(x.b), static_cast<size_t>(x.c));
    case SYS_write: return run_write(small(x.a), pointer<void const>(x.b), static_cast<size_t>(x.c));
    case SYS_pread64: return run_pread64(small(x.a), pointer<void>(x.b), static_cast<size_t>(x.c), x.d);
    case SYS_pwrite64: return run_pwrite64(small(x.a), pointer<void const>(x.b), static_cast<size_t>(x.c), x.d);
    case SYS_readv: return run_readv(small(x.a), pointer<iovec const>(x.b), small(x.c));
    case SYS_writev: return run_writev(small(x.a), pointer<iovec const>(x.b), small(x.c));
    case SYS_mmap:
      return std::bit_cast<long>(run_mmap(pointer<void>(x.a), static_cast<size_t>(x.b), small(x.c), small(x.d), small(x.e), x.f));
    case SYS_munmap: return run_munmap(pointer<void>(x.a), static_cast<size_t>(x.b));
    case SYS_mremap:
      return std::bit_cast<long>(
          run_mremap(pointer<void>(x.a), static_cast<size_t>(x.b), static_cast<size_t>(x.c), small(x.d), pointer<void>(x.e)));
    case SYS_mprotect: return run_mprotect(pointer<void>(x.a), static_cast<size_t>(x.b), small(x.c));
    case SYS_madvise: return run_madvise(pointer<void>(x.a), static_cast<size_t>(x.b), small(x.c));
    case SYS_sendmsg: return run_sendmsg(small(x.a), pointer<msghdr const>(x.b), small(x.c));
    case SYS_recvmsg: return run_recvmsg(small(x.a), pointer<msghdr>(x.b), small(x.c));
    case SYS_faccessat: return run_faccessat(small(x.a), pointer<char const>(x.b), small(x.c), 0);
    case SYS_clone:
    case SYS_clone3: return make_process(number, x);
    default: return pass(number, x);
  }
}
