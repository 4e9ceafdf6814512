// open(2) and its kin.
#include <fcntl.h>

#include <cstdarg>

#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/paths.h"
#include "run/preload/sysfs.h"
#include "run/preload/wrapped.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(open, run_open)
SWIOMMU_EXPORTED(open64, run_open64)
SWIOMMU_EXPORTED(openat, run_openat)
SWIOMMU_EXPORTED(openat64, run_openat64)
SWIOMMU_EXPORTED(__open_2, run_open_2)
SWIOMMU_EXPORTED(__open64_2, run_open64_2)
SWIOMMU_EXPORTED(__openat_2, run_openat_2)
SWIOMMU_EXPORTED(__openat64_2, run_openat64_2)
SWIOMMU_EXPORTED(creat, run_creat)
SWIOMMU_EXPORTED(creat64, run_creat64)

// Has the flags a mode behind them?
#define SWIOMMU_MODE(flags)                                             \
  mode_t mode = 0;                                                      \
  if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) { \
    va_list rest;                                                       \
    va_start(rest, flags);                                              \
    mode = va_arg(rest, mode_t);                                        \
    va_end(rest);                                                       \
  }

int run_open(char const* path, int flags, ...) {
  SWIOMMU_MODE(flags)
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(open, run_open)(Redirected(path).path(), flags, mode);
}

int run_open64(char const* path, int flags, ...) {
  SWIOMMU_MODE(flags)
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(open64, run_open64)(Redirected(path).path(), flags, mode);
}

int run_openat(int folder, char const* path, int flags, ...) {
  SWIOMMU_MODE(flags)
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(openat, run_openat)(folder, Redirected(path).path(), flags, mode);
}

int run_openat64(int folder, char const* path, int flags, ...) {
  SWIOMMU_MODE(flags)
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(openat64, run_openat64)(folder, Redirected(path).path(), flags, mode);
}

int run_open_2(char const* path, int flags) {
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(__open_2, run_open_2)(Redirected(path).path(), flags);
}

int run_open64_2(char const* path, int flags) {
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(__open64_2, run_open64_2)(Redirected(path).path(), flags);
}

int run_openat_2(int folder, char const* path, int flags) {
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(__openat_2, run_openat_2)(folder, Redirected(path).path(), flags);
}

int run_openat64_2(int folder, char const* path, int flags) {
  if (auto const ours = open_ours(path, flags)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(__openat64_2, run_openat64_2)(folder, Redirected(path).path(), flags);
}

int run_creat(char const* path, mode_t mode) {
  if (auto const ours = open_ours(path, O_WRONLY | O_CREAT | O_TRUNC)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(creat, run_creat)(Redirected(path).path(), mode);
}

int run_creat64(char const* path, mode_t mode) {
  if (auto const ours = open_ours(path, O_WRONLY | O_CREAT | O_TRUNC)) return static_cast<int>(answer(*ours));
  return SWIOMMU_NEXT(creat64, run_creat64)(Redirected(path).path(), mode);
}
