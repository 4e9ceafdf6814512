#include "run/sysfs_folder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "swiommu/base/descriptor.h"

namespace swiommu::run {
namespace {

namespace fs = std::filesystem;
using vfio::SysfsEntry;

Result<> write(fs::path const& root, SysfsEntry const& entry) {
  fs::path const path = root.native() + entry.path;
  fs::create_directories(entry.kind == SysfsEntry::Kind::folder ? path : path.parent_path());
  switch (entry.kind) {
    case SysfsEntry::Kind::folder: break;
    case SysfsEntry::Kind::link: fs::create_symlink(entry.contents, path); break;
    case SysfsEntry::Kind::text: std::ofstream(path, std::ios::binary) << entry.contents; break;
    case SysfsEntry::Kind::memory:
      std::ofstream(path, std::ios::binary).close();
      fs::resize_file(path, entry.size);
      break;
  }
  return {};
}

// The rest of a folder that the system has too.
void link_rest(fs::path const& ours, fs::path const& real) {
  std::error_code error;
  for (auto const& each : fs::directory_iterator(real, error))
    if (fs::path const there = ours / each.path().filename(); !fs::exists(fs::symlink_status(there, error)))
      fs::create_symlink(each.path(), there, error);
}

void link_rest_of_all(fs::path const& root) {
  std::error_code error;
  std::set<fs::path> folders{root / "sys"};
  for (auto const& each : fs::recursive_directory_iterator(root))
    if (each.is_directory() && !each.is_symlink()) folders.insert(each.path());
  for (fs::path const& folder : folders)
    if (fs::path const real = "/" / folder.lexically_relative(root); fs::is_directory(real, error)) link_rest(folder, real);
}

// Neither a child of the program, nor in its session: it must not be able to wait for us, or hang us up.
[[noreturn]] void wait_and_remove(int program, std::string const& folder) {
  if (::fork() != 0) ::_exit(0);
  ::setsid();
  for (int descriptor = 0; descriptor < 3; descriptor++) ::close(descriptor);
  pollfd waited{.fd = program, .events = POLLIN, .revents = 0};
  while (::poll(&waited, 1, -1) < 0 && errno == EINTR) {
  }
  std::error_code error;
  fs::remove_all(folder, error);
  ::_exit(0);
}

}  // namespace

Result<std::string> write_sysfs(std::span<SysfsEntry const> entries) {
  return guarded([&]() -> Result<std::string> {
    std::error_code error;
    std::string folder = (fs::temp_directory_path(error) / "swiommu-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) return fail(errno, folder);
    try {
      for (SysfsEntry const& entry : entries) SWIOMMU_TRY(write(folder, entry));
      link_rest_of_all(folder);
    } catch (fs::filesystem_error const& failed) {
      fs::remove_all(folder, error);
      return fail(failed.code().value(), failed.what());
    }
    return folder;
  });
}

Result<> remove_when_ended(std::string const& folder) {
  Descriptor const program(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (program.get() < 0) return fail(errno, "pidfd_open");
  pid_t const child = ::fork();
  if (child < 0) return fail(errno, "fork");
  if (child == 0) wait_and_remove(program.get(), folder);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return {};
}

}  // namespace swiommu::run
