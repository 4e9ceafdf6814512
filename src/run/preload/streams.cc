// fopen(3).
#include <fcntl.h>

#include <cstdio>
#include <string_view>

#include "run/kernel_call.h"
#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/paths.h"
#include "run/preload/sysfs.h"
#include "run/preload/wrapped.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(fopen, run_fopen)
SWIOMMU_EXPORTED(fopen64, run_fopen64)

namespace {

std::optional<FILE*> open_stream(char const* path, char const* mode) {
  std::string_view const words = mode;
  bool const both = words.find('+') != std::string_view::npos;
  int flags = both ? O_RDWR : words.starts_with('r') ? O_RDONLY : O_WRONLY;
  if (words.find('e') != std::string_view::npos) flags |= O_CLOEXEC;
  auto const ours = open_ours(path, flags);
  if (!ours) return {};
  long const descriptor = answer(*ours);
  if (descriptor < 0) return nullptr;
  FILE* const stream = fdopen(static_cast<int>(descriptor), mode);
  if (stream == nullptr) run_close(static_cast<int>(descriptor));
  return stream;
}

}  // namespace

FILE* run_fopen(char const* path, char const* mode) {
  if (auto const ours = open_stream(path, mode)) return *ours;
  return SWIOMMU_NEXT(fopen, run_fopen)(Redirected(path).path(), mode);
}

FILE* run_fopen64(char const* path, char const* mode) {
  if (auto const ours = open_stream(path, mode)) return *ours;
  return SWIOMMU_NEXT(fopen64, run_fopen64)(Redirected(path).path(), mode);
}
