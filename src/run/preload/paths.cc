#include "run/preload/paths.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "run/call_log.h"
#include "run/chosen_devices.h"
#include "run/kernel_call.h"
#include "run/owner.h"
#include "run/status_file.h"

namespace swiommu::run {

std::optional<DevicePath> our_path(char const* path) {
  // The headers say that the path is never null, which the compiler would believe.
  asm volatile("" : "+r"(path));
  if (path == nullptr || std::strncmp(path, "/dev/", 5) != 0) return {};
  auto const found = DevicePath::parse(path);
  if (!found) return {};
  // Devices have the numbers from 0 on, and are each in a group, from 1 on.
  switch (found->kind) {
    case DevicePath::Kind::device: return found->number < count_of_devices() ? found : std::nullopt;
    case DevicePath::Kind::group: return found->number - 1 < count_of_devices() ? found : std::nullopt;
    default: return found;
  }
}

namespace {

std::optional<long> open_edited(char const* path, int flags) {
  asm volatile("" : "+r"(path));
  if (path == nullptr || std::strncmp(path, "/proc/", 6) != 0) return {};
  return open_status(path, flags);
}

}  // namespace

std::optional<long> open_ours(char const* path, int flags) {
  if (!our_path(path)) return open_edited(path, flags);
  if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return -EEXIST;
  if ((flags & O_DIRECTORY) != 0) return -ENOTDIR;
  int const kept = errno;
  auto const owner = Owner::get();
  auto const opened = owner ? (*owner)->open(path, (flags & O_CLOEXEC) != 0) : Result<int>(std::unexpected(owner.error()));
  errno = kept;
  if (opened) return *opened;
  log_line("open {}: {}: {}", path, ::strerrorname_np(opened.error().code), opened.error().about);
  return -opened.error().code;
}

}  // namespace swiommu::run
