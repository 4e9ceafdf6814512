// readlink(2), opendir(3), realpath(3), scandir(3): what programs look through /sys with, besides open, stat and access.
#include "run/preload/sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <string_view>

#include "run/environment.h"
#include "run/kernel_call.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/remembered_variable.h"

namespace swiommu::run {
namespace {

constinit RememberedVariable launchers_folder(sysfs_variable);

}  // namespace

void Redirected::look() {
  asm volatile("" : "+r"(path_));  // the headers say that it is never null
  if (path_ == nullptr || std::strncmp(path_, "/sys", 4) != 0 || (path_[4] != '/' && path_[4] != 0)) return;
  std::string_view const folder = launchers_folder.value();
  std::size_t const length = std::strlen(path_) + 1;
  if (folder.empty() || folder.size() + length > moved_.size()) return;
  folder.copy(moved_.data(), folder.size());
  std::memcpy(moved_.data() + folder.size(), path_, length);
  struct stat status;
  if (kernel_call(SYS_newfstatat, AT_FDCWD, moved_.data(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  // A link that stands for the system's own entry: that is what is meant.
  if (S_ISLNK(status.st_mode) && static_cast<std::size_t>(status.st_size) == length - 1) {
    std::array<char, 512> target;
    long const got = kernel_call(SYS_readlinkat, AT_FDCWD, moved_.data(), target.data(), target.size());
    if (got > 0 && std::string_view(target.data(), static_cast<std::size_t>(got)) == path_) return;
  }
  path_ = moved_.data();
}

void hide_folder(char* path) {
  std::string_view const folder = launchers_folder.value();
  if (!folder.empty() && std::string_view(path).starts_with(folder))
    std::memmove(path, path + folder.size(), std::strlen(path + folder.size()) + 1);
}

}  // namespace swiommu::run

using namespace swiommu::run;

using Filter = int (*)(dirent const*);
using Filter64 = int (*)(dirent64 const*);
using Compare = int (*)(dirent const**, dirent const**);
using Compare64 = int (*)(dirent64 const**, dirent64 const**);

extern "C" {
ssize_t run_readlink(char const* path, char* to, size_t room);
ssize_t run_readlink_chk(char const* path, char* to, size_t room, size_t length);
ssize_t run_readlinkat(int folder, char const* path, char* to, size_t room);
ssize_t run_readlinkat_chk(int folder, char const* path, char* to, size_t room, size_t length);
DIR* run_opendir(char const* path);
char* run_realpath(char const* path, char* to);
char* run_realpath_chk(char const* path, char* to, size_t length);
char* run_canonicalize_file_name(char const* path);
int run_scandir(char const* path, dirent*** entries, Filter filter, Compare compare);
int run_scandir64(char const* path, dirent64*** entries, Filter64 filter, Compare64 compare);
}

SWIOMMU_EXPORTED(readlink, run_readlink)
SWIOMMU_EXPORTED(__readlink_chk, run_readlink_chk)
SWIOMMU_EXPORTED(readlinkat, run_readlinkat)
SWIOMMU_EXPORTED(__readlinkat_chk, run_readlinkat_chk)
SWIOMMU_EXPORTED(opendir, run_opendir)
SWIOMMU_EXPORTED(realpath, run_realpath)
SWIOMMU_EXPORTED(__realpath_chk, run_realpath_chk)
SWIOMMU_EXPORTED(canonicalize_file_name, run_canonicalize_file_name)
SWIOMMU_EXPORTED(scandir, run_scandir)
SWIOMMU_EXPORTED(scandir64, run_scandir64)

ssize_t run_readlink(char const* path, char* to, size_t room) {
  return SWIOMMU_NEXT(readlink, run_readlink)(Redirected(path).path(), to, room);
}

ssize_t run_readlink_chk(char const* path, char* to, size_t room, size_t length) {
  return SWIOMMU_NEXT(__readlink_chk, run_readlink_chk)(Redirected(path).path(), to, room, length);
}

ssize_t run_readlinkat(int folder, char const* path, char* to, size_t room) {
  return SWIOMMU_NEXT(readlinkat, run_readlinkat)(folder, Redirected(path).path(), to, room);
}

ssize_t run_readlinkat_chk(int folder, char const* path, char* to, size_t room, size_t length) {
  return SWIOMMU_NEXT(__readlinkat_chk, run_readlinkat_chk)(folder, Redirected(path).path(), to, room, length);
}

DIR* run_opendir(char const* path) { return SWIOMMU_NEXT(opendir, run_opendir)(Redirected(path).path()); }

char* run_realpath(char const* path, char* to) {
  char* const found = SWIOMMU_NEXT(realpath, run_realpath)(Redirected(path).path(), to);
  if (found != nullptr) hide_folder(found);
  return found;
}

char* run_realpath_chk(char const* path, char* to, size_t length) {
  char* const found = SWIOMMU_NEXT(__realpath_chk, run_realpath_chk)(Redirected(path).path(), to, length);
  if (found != nullptr) hide_folder(found);
  return found;
}

char* run_canonicalize_file_name(char const* path) { return run_realpath(path, nullptr); }

int run_scandir(char const* path, dirent*** entries, Filter filter, Compare compare) {
  return SWIOMMU_NEXT(scandir, run_scandir)(Redirected(path).path(), entries, filter, compare);
}

int run_scandir64(char const* path, dirent64*** entries, Filter64 filter, Compare64 compare) {
  return SWIOMMU_NEXT(scandir64, run_scandir64)(Redirected(path).path(), entries, filter, compare);
}
