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

namespace {

// "0" to "4294967295", as Linux writes numbers.
std::optional<unsigned> number(char const* text) {
  unsigned long long value = 0;
  if (*text == 0 || (*text == '0' && text[1] != 0)) return {};
  for (; *text != 0; text++) {
    if (*text < '0' || *text > '9') return {};
    value = value * 10 + static_cast<unsigned>(*text - '0');
    if (value > 0xffffffffU) return {};
  }
  return static_cast<unsigned>(value);
}

}  // namespace

OurPath our_path(char const* path) {
  using enum OurPath::Kind;
  // The headers say that the path is never null, which the compiler would believe.
  asm volatile("" : "+r"(path));
  if (path == nullptr || std::strncmp(path, "/dev/", 5) != 0) return {};
  if (std::strcmp(path, "/dev/iommu") == 0) return {iommu};
  if (std::strncmp(path, "/dev/vfio/", 10) != 0) return {};
  if (std::strcmp(path, "/dev/vfio/vfio") == 0) return {container};
  // Devices have the numbers from 0 on, and are each in a group, from 1 on.
  if (std::strncmp(path, "/dev/vfio/devices/vfio", 22) == 0) {
    auto const found = number(path + 22);
    return found && *found < count_of_devices() ? OurPath{device, *found} : OurPath{};
  }
  auto const found = number(path + 10);
  return found && *found > 0 && *found <= count_of_devices() ? OurPath{group, *found} : OurPath{};
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
