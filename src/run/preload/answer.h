// How the C library answers: a value, or -1 and errno.
#pragma once
#include <cerrno>

namespace swiommu::run {

// `result` as the kernel gives it.
inline long answer(long result) {
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace swiommu::run
