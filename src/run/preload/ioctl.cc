// ioctl(2).
#include <asm/ioctls.h>

#include <cstdarg>

#include "run/kernel_call.h"
#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(ioctl, run_ioctl)

namespace {

long ioctl_ours(int descriptor, unsigned long request, long argument) {
  Reference const held = table().find(descriptor);
  if (!held) return -EBADF;
  switch (request) {
    case FIOCLEX:  // what every file has
    case FIONCLEX:
    case FIONBIO:
    case FIOASYNC: return kernel_call(SYS_ioctl, descriptor, request, argument);
    default: return held->ioctl(descriptor, static_cast<std::uint32_t>(request), static_cast<std::uint64_t>(argument));
  }
}

}  // namespace

int run_ioctl(int descriptor, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  long const argument = va_arg(rest, long);
  va_end(rest);
  if (!table().has(descriptor)) return SWIOMMU_NEXT(ioctl, run_ioctl)(descriptor, request, argument);
  int const kept = errno;
  long const result = ioctl_ours(descriptor, request, argument);
  errno = kept;
  return static_cast<int>(answer(result));
}
