// close(2), dup(2), fcntl(2) and their kin.
#include <fcntl.h>
#include <linux/close_range.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>

#include "run/kernel_call.h"
#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(close, run_close)
SWIOMMU_EXPORTED(close_range, run_close_range)
SWIOMMU_EXPORTED(closefrom, run_closefrom)
SWIOMMU_EXPORTED(dup, run_dup)
SWIOMMU_EXPORTED(dup2, run_dup2)
SWIOMMU_EXPORTED(dup3, run_dup3)
SWIOMMU_EXPORTED(fcntl, run_fcntl)
SWIOMMU_EXPORTED(fcntl64, run_fcntl64)

namespace {

// First out of the table, then closed: in between the number is nobody's.
long close_ours(int descriptor) {
  if (table().internal(descriptor)) return -EBADF;
  Reference const held = table().take(descriptor);
  int const kept = errno;
  long const result = kernel_call(SYS_close, descriptor);
  errno = kept;
  return result;
}

// A new descriptor, made by `make`, of what `descriptor` is.
template <class Make>
long duplicate(int descriptor, Make make) {
  Reference const held = table().find(descriptor);
  if (!held) return -EBADF;
  long const made = make();
  if (made >= 0) table().put(static_cast<int>(made), *held.get());
  return made;
}

// Neither number is what it was while the kernel's table and ours differ.
long duplicate_to(int descriptor, int to, int flags) {
  if (table().internal(descriptor) || table().internal(to)) return -EBADF;
  long const valid = kernel_call(SYS_fcntl, descriptor, F_GETFD);
  if (valid < 0) return valid;
  if (descriptor == to) return flags < 0 ? to : -EINVAL;
  Reference const held = table().find(descriptor);
  Reference const gone = table().take(to);
  long const made = kernel_call(SYS_dup3, descriptor, to, std::max(flags, 0));
  if (made >= 0 && held) table().put(to, *held.get());
  if (made < 0 && gone) table().put(to, *gone.get());
  return made;
}

long control_ours(int descriptor, int command, long argument) {
  if (table().internal(descriptor)) return -EBADF;
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
    return duplicate(descriptor, [&] { return kernel_call(SYS_fcntl, descriptor, command, argument); });
  return kernel_call(SYS_fcntl, descriptor, command, argument);
}

}  // namespace

int run_close(int descriptor) {
  if (table().has(descriptor)) return static_cast<int>(answer(close_ours(descriptor)));
  return SWIOMMU_NEXT(close, run_close)(descriptor);
}

int run_close_range(unsigned first, unsigned last, int flags) {
  auto const next = SWIOMMU_NEXT(close_range, run_close_range);
  unsigned const end = table().end();
  if (first > last || first >= end || (flags & static_cast<int>(CLOSE_RANGE_CLOEXEC)) != 0) return next(first, last, flags);
  for (unsigned at = first; at <= last && at < end; at++) {
    auto const descriptor = static_cast<int>(at);
    if (!table().has(descriptor)) continue;
    if (!table().internal(descriptor)) {
      close_ours(descriptor);
      continue;
    }
    if (at > first)
      if (int const result = next(first, at - 1, flags); result != 0) return result;
    first = at + 1;
  }
  return first <= last ? next(first, last, flags) : 0;
}

void run_closefrom(int first) { run_close_range(static_cast<unsigned>(std::max(first, 0)), ~0U, 0); }

int run_dup(int descriptor) {
  if (table().has(descriptor))
    return static_cast<int>(answer(duplicate(descriptor, [&] { return kernel_call(SYS_dup, descriptor); })));
  return SWIOMMU_NEXT(dup, run_dup)(descriptor);
}

int run_dup2(int descriptor, int to) {
  if (table().has(descriptor) || table().has(to)) return static_cast<int>(answer(duplicate_to(descriptor, to, -1)));
  return SWIOMMU_NEXT(dup2, run_dup2)(descriptor, to);
}

int run_dup3(int descriptor, int to, int flags) {
  if (table().has(descriptor) || table().has(to)) return static_cast<int>(answer(duplicate_to(descriptor, to, flags)));
  return SWIOMMU_NEXT(dup3, run_dup3)(descriptor, to, flags);
}

#define SWIOMMU_ARGUMENT(before)            \
  va_list rest;                             \
  va_start(rest, before);                   \
  long const argument = va_arg(rest, long); \
  va_end(rest);

int run_fcntl(int descriptor, int command, ...) {
  SWIOMMU_ARGUMENT(command)
  if (table().has(descriptor)) return static_cast<int>(answer(control_ours(descriptor, command, argument)));
  return SWIOMMU_NEXT(fcntl, run_fcntl)(descriptor, command, argument);
}

int run_fcntl64(int descriptor, int command, ...) {
  SWIOMMU_ARGUMENT(command)
  if (table().has(descriptor)) return static_cast<int>(answer(control_ours(descriptor, command, argument)));
  return SWIOMMU_NEXT(fcntl64, run_fcntl64)(descriptor, command, argument);
}
