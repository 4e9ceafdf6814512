// What /dev/iommu looks like: stat(2), access(2) and their kin.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <optional>

#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/paths.h"
#include "run/preload/sysfs.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"
#include "swiommu/vfio/pci_bus.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(access, run_access)
SWIOMMU_EXPORTED(eaccess, run_eaccess)
SWIOMMU_EXPORTED(euidaccess, run_euidaccess)
SWIOMMU_EXPORTED(faccessat, run_faccessat)
SWIOMMU_EXPORTED(statx, run_statx)

namespace {

// Linux gives the first a number when it starts; the second is fixed.
constexpr unsigned misc_major = 10;
constexpr unsigned iommu_minor = 123;
constexpr unsigned container_minor = 196;

// As PciBus::DeviceNumbers has them.
constexpr swiommu::vfio::PciBus::DeviceNumbers vfio_numbers;

dev_t number_of(DevicePath path) {
  switch (path.kind) {
    case DevicePath::Kind::container: return makedev(misc_major, container_minor);
    case DevicePath::Kind::device: return makedev(vfio_numbers.devices_major, path.number);
    case DevicePath::Kind::group: return makedev(vfio_numbers.groups_major, path.number);
    default: return makedev(misc_major, iommu_minor);
  }
}

int describe(struct stat& status, DevicePath path) {
  std::memset(&status, 0, sizeof status);
  status.st_mode = S_IFCHR | 0666;
  status.st_nlink = 1;
  status.st_rdev = number_of(path);
  status.st_blksize = 4096;
  return 0;
}

int access_of_ours(int mode) { return static_cast<int>(answer((mode & X_OK) != 0 ? -EACCES : 0)); }

// What an open descriptor of ours is said to be; nothing: it is not ours.
std::optional<DevicePath> ours_behind(int descriptor) {
  if (!table().has(descriptor) || table().internal(descriptor)) return {};
  Reference const held = table().find(descriptor);
  auto const path = held ? our_path(held->name()) : std::nullopt;
  return path ? path : DevicePath{DevicePath::Kind::iommu};
}

}  // namespace

static_assert(sizeof(struct stat) == sizeof(struct stat64));

// NOLINTBEGIN(bugprone-macro-parentheses): the arguments have theirs
// A name that takes a path, with whatever comes before and after it in `parameters`.
#define SWIOMMU_STAT_OF_PATH(name, parameters, arguments)                  \
  SWIOMMU_EXPORTED(name, run_##name)                                       \
  extern "C" int run_##name parameters {                                   \
    if (auto const ours = our_path(path)) return describe(*status, *ours); \
    return SWIOMMU_NEXT(name, run_##name) arguments;                       \
  }
#define SWIOMMU_STAT_OF_DESCRIPTOR(name, parameters, arguments)                     \
  SWIOMMU_EXPORTED(name, run_##name)                                                \
  extern "C" int run_##name parameters {                                            \
    if (auto const ours = ours_behind(descriptor)) return describe(*status, *ours); \
    return SWIOMMU_NEXT(name, run_##name) arguments;                                \
  }
#define SWIOMMU_STAT_AT(name, parameters, arguments)                              \
  SWIOMMU_EXPORTED(name, run_##name)                                              \
  extern "C" int run_##name parameters {                                          \
    if (auto const ours = our_path(path)) return describe(*status, *ours);        \
    if ((flags & AT_EMPTY_PATH) != 0)                                             \
      if (auto const ours = ours_behind(folder)) return describe(*status, *ours); \
    return SWIOMMU_NEXT(name, run_##name) arguments;                              \
  }
// NOLINTEND(bugprone-macro-parentheses)

SWIOMMU_STAT_OF_PATH(stat, (char const* path, struct stat* status), (Redirected(path).path(), status))
SWIOMMU_STAT_OF_PATH(stat64, (char const* path, struct stat* status), (Redirected(path).path(), status))
SWIOMMU_STAT_OF_PATH(lstat, (char const* path, struct stat* status), (Redirected(path).path(), status))
SWIOMMU_STAT_OF_PATH(lstat64, (char const* path, struct stat* status), (Redirected(path).path(), status))
SWIOMMU_STAT_OF_PATH(__xstat, (int version, char const* path, struct stat* status), (version, Redirected(path).path(), status))
SWIOMMU_STAT_OF_PATH(__xstat64, (int version, char const* path, struct stat* status), (version, Redirected(path).path(), status))
SWIOMMU_STAT_OF_PATH(__lxstat, (int version, char const* path, struct stat* status), (version, Redirected(path).path(), status))
SWIOMMU_STAT_OF_PATH(__lxstat64, (int version, char const* path, struct stat* status), (version, Redirected(path).path(), status))
SWIOMMU_STAT_OF_DESCRIPTOR(fstat, (int descriptor, struct stat* status), (descriptor, status))
SWIOMMU_STAT_OF_DESCRIPTOR(fstat64, (int descriptor, struct stat* status), (descriptor, status))
SWIOMMU_STAT_OF_DESCRIPTOR(__fxstat, (int version, int descriptor, struct stat* status), (version, descriptor, status))
SWIOMMU_STAT_OF_DESCRIPTOR(__fxstat64, (int version, int descriptor, struct stat* status), (version, descriptor, status))
SWIOMMU_STAT_AT(fstatat, (int folder, char const* path, struct stat* status, int flags),
                (folder, Redirected(path).path(), status, flags))
SWIOMMU_STAT_AT(fstatat64, (int folder, char const* path, struct stat* status, int flags),
                (folder, Redirected(path).path(), status, flags))
SWIOMMU_STAT_AT(__fxstatat, (int version, int folder, char const* path, struct stat* status, int flags),
                (version, folder, Redirected(path).path(), status, flags))
SWIOMMU_STAT_AT(__fxstatat64, (int version, int folder, char const* path, struct stat* status, int flags),
                (version, folder, Redirected(path).path(), status, flags))

int run_access(char const* path, int mode) {
  if (our_path(path)) return access_of_ours(mode);
  return SWIOMMU_NEXT(access, run_access)(Redirected(path).path(), mode);
}

int run_eaccess(char const* path, int mode) {
  if (our_path(path)) return access_of_ours(mode);
  return SWIOMMU_NEXT(eaccess, run_eaccess)(Redirected(path).path(), mode);
}

int run_euidaccess(char const* path, int mode) {
  if (our_path(path)) return access_of_ours(mode);
  return SWIOMMU_NEXT(euidaccess, run_euidaccess)(Redirected(path).path(), mode);
}

int run_faccessat(int folder, char const* path, int mode, int flags) {
  if (our_path(path)) return access_of_ours(mode);
  return SWIOMMU_NEXT(faccessat, run_faccessat)(folder, Redirected(path).path(), mode, flags);
}

int run_statx(int folder, char const* path, int flags, unsigned mask, struct statx* status) {
  auto ours = our_path(path);
  if (!ours && (flags & AT_EMPTY_PATH) != 0) ours = ours_behind(folder);
  if (!ours) return SWIOMMU_NEXT(statx, run_statx)(folder, Redirected(path).path(), flags, mask, status);
  std::memset(status, 0, sizeof *status);
  status->stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID;
  status->stx_blksize = 4096;
  status->stx_nlink = 1;
  status->stx_mode = S_IFCHR | 0666;
  status->stx_rdev_major = major(number_of(*ours));
  status->stx_rdev_minor = minor(number_of(*ours));
  return 0;
}
