// What our own code's calls of wrapped names reach (the linker's --wrap): the kernel. So nothing that we do to ourselves is taken
// for something that the program does, and no descriptor of ours is where the program could close it.
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <csignal>
#include <cstdarg>

#include "run/kernel_call.h"
#include "run/preload/answer.h"
#include "run/preload/next.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

using namespace swiommu::run;

extern "C" {

#define SWIOMMU_LONG_ARGUMENT(before)       \
  va_list rest;                             \
  va_start(rest, before);                   \
  long const argument = va_arg(rest, long); \
  va_end(rest);

int __wrap_close(int descriptor) {
  if (table().internal(descriptor)) {
    close_internal(descriptor);
    return 0;
  }
  return static_cast<int>(answer(kernel_call(SYS_close, descriptor)));
}

int __wrap_fcntl(int descriptor, int command, ...) {
  SWIOMMU_LONG_ARGUMENT(command)
  if (command == F_DUPFD_CLOEXEC) return static_cast<int>(answer(copy_internal(descriptor)));
  return static_cast<int>(answer(kernel_call(SYS_fcntl, descriptor, command, argument)));
}
int __wrap_fcntl64(int descriptor, int command, ...) __attribute__((alias("__wrap_fcntl")));

int __wrap_memfd_create(char const* name, unsigned flags) {
  long const result = kernel_call(SYS_memfd_create, name, flags);
  return result >= 0 ? make_internal(static_cast<int>(result)) : static_cast<int>(answer(result));
}

int __wrap_open(char const* path, int flags, ...) {
  SWIOMMU_LONG_ARGUMENT(flags)
  return static_cast<int>(answer(kernel_call(SYS_openat, AT_FDCWD, path, flags, argument)));
}
int __wrap_open64(char const* path, int flags, ...) __attribute__((alias("__wrap_open")));

int __wrap_openat(int folder, char const* path, int flags, ...) {
  SWIOMMU_LONG_ARGUMENT(flags)
  return static_cast<int>(answer(kernel_call(SYS_openat, folder, path, flags, argument)));
}

int __wrap_ioctl(int descriptor, unsigned long request, ...) {
  SWIOMMU_LONG_ARGUMENT(request)
  return static_cast<int>(answer(kernel_call(SYS_ioctl, descriptor, request, argument)));
}

ssize_t __wrap_read(int descriptor, void* to, size_t length) { return answer(kernel_call(SYS_read, descriptor, to, length)); }

ssize_t __wrap_write(int descriptor, void const* from, size_t length) {
  return answer(kernel_call(SYS_write, descriptor, from, length));
}

ssize_t __wrap_pread(int descriptor, void* to, size_t length, off_t at) {
  return answer(kernel_call(SYS_pread64, descriptor, to, length, at));
}
ssize_t __wrap_pread64(int descriptor, void* to, size_t length, off_t at) __attribute__((alias("__wrap_pread")));

ssize_t __wrap_pwrite(int descriptor, void const* from, size_t length, off_t at) {
  return answer(kernel_call(SYS_pwrite64, descriptor, from, length, at));
}
ssize_t __wrap_pwrite64(int descriptor, void const* from, size_t length, off_t at) __attribute__((alias("__wrap_pwrite")));

ssize_t __wrap_readv(int descriptor, iovec const* parts, int count) {
  return answer(kernel_call(SYS_readv, descriptor, parts, count));
}

ssize_t __wrap_preadv2(int descriptor, iovec const* parts, int count, off_t at, int flags) {
  return answer(kernel_call(SYS_preadv2, descriptor, parts, count, at, 0, flags));
}
ssize_t __wrap_preadv64v2(int descriptor, iovec const* parts, int count, off_t at, int flags)
    __attribute__((alias("__wrap_preadv2")));

ssize_t __wrap_writev(int descriptor, iovec const* parts, int count) {
  return answer(kernel_call(SYS_writev, descriptor, parts, count));
}

void* __wrap_mmap(void* at, size_t length, int protection, int flags, int descriptor, off_t offset) {
  return std::bit_cast<void*>(answer(kernel_call(SYS_mmap, at, length, protection, flags, descriptor, offset)));
}
void* __wrap_mmap64(void* at, size_t length, int protection, int flags, int descriptor, off_t offset)
    __attribute__((alias("__wrap_mmap")));

int __wrap_munmap(void* at, size_t length) { return static_cast<int>(answer(kernel_call(SYS_munmap, at, length))); }

void* __wrap_mremap(void* at, size_t length, size_t new_length, int flags, ...) {
  SWIOMMU_LONG_ARGUMENT(flags)
  return std::bit_cast<void*>(answer(kernel_call(SYS_mremap, at, length, new_length, flags, argument)));
}

int __wrap_mprotect(void* at, size_t length, int protection) {
  return static_cast<int>(answer(kernel_call(SYS_mprotect, at, length, protection)));
}

int __wrap_madvise(void* at, size_t length, int advice) {
  return static_cast<int>(answer(kernel_call(SYS_madvise, at, length, advice)));
}

int __wrap_pthread_sigmask(int how, sigset_t const* set, sigset_t* before) {
  constexpr std::size_t bytes = 8;  // that the kernel has of a set
  if (before != nullptr) sigemptyset(before);
  return static_cast<int>(-kernel_call(SYS_rt_sigprocmask, how, set, before, bytes));
}

int __wrap_fstat(int descriptor, struct stat* status) {
  return static_cast<int>(answer(kernel_call(SYS_newfstatat, descriptor, "", status, AT_EMPTY_PATH)));
}
int __wrap_fstat64(int descriptor, struct stat* status) __attribute__((alias("__wrap_fstat")));

int __wrap_stat(char const* path, struct stat* status) {
  return static_cast<int>(answer(kernel_call(SYS_newfstatat, AT_FDCWD, path, status, 0)));
}
int __wrap_stat64(char const* path, struct stat* status) __attribute__((alias("__wrap_stat")));

ssize_t __wrap_readlink(char const* path, char* to, size_t room) {
  return answer(kernel_call(SYS_readlinkat, AT_FDCWD, path, to, room));
}

FILE* __wrap_fopen(char const* path, char const* mode) { return SWIOMMU_NEXT(fopen, run_fopen)(path, mode); }
FILE* __wrap_fopen64(char const* path, char const* mode) { return SWIOMMU_NEXT(fopen64, run_fopen64)(path, mode); }

long __wrap_syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(rest, long);
  va_end(rest);
  return answer(kernel_call_6(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]));
}
}
