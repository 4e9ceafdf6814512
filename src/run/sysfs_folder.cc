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
    case SysfsEntry::Kind::text:
    case SysfsEntry::Kind::memory: {
      std::ofstream file(path, std::ios::binary);
      file << entry.contents;
      file.close();
      if (!file) return fail(EIO, path.string() + " cannot be written");
      if (entry.kind == SysfsEntry::Kind::memory) fs::resize_file(path, entry.size);
    }
  }
  return {};
}

// What writing to would act on devices of the system.
bool acts(fs::path const& name) {
  static std::set<fs::path> const all{"bind", "unbind", "new_id", "remove_id", "drivers_probe", "rescan"};
  return all.contains(name);
}

// The rest of a folder that the system has too.
void link_rest(fs::path const& ours, fs::path const& real) {
  std::error_code error;
  for (auto const& each : fs::directory_iterator(real, error))
    if (fs::path const there = ours / each.path().filename();
        !acts(each.path().filename()) && !fs::exists(fs::symlink_status(there, error)))
      fs::create_symlink(each.path(), there, error);
}

// Of all folders but those of our own devices and groups, in which there are files.
void link_rest_of_all(fs::path const& root) {
  std::error_code error;
  std::set<fs::path> folders{root / "sys"}, own;
  for (auto const& each : fs::recursive_directory_iterator(root)) {
    if (each.is_symlink()) continue;
    if (each.is_directory())
      folders.insert(each.path());
    else
      own.insert(each.path().parent_path());
  }
  for (fs::path const& folder : folders) {
    bool is_own = false;
    for (fs::path at = folder; at != root && !is_own; at = at.parent_path()) is_own = own.contains(at);
    if (fs::path const real = "/" / folder.lexically_relative(root); !is_own && fs::is_directory(real, error))
      link_rest(folder, real);
  }
}

// Neither a child of the program, nor in its session: it must not be able to wait for us, or hang us up.
[[noreturn]] void wait_and_remove(int program, std::string const& folder) {
  if (pid_t const child = ::fork(); child != 0) ::_exit(child < 0 ? 1 : 0);
  ::setsid();
  // Nothing of the program's is kept open: not its pipes, not its folder.
  if (program > 0) ::syscall(SYS_close_range, 0, program - 1, 0);
  ::syscall(SYS_close_range, program + 1, ~0U, 0);
  if (::chdir("/") != 0) ::_exit(1);
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
    fs::path const place = fs::canonical(fs::temp_directory_path(error), error);
    if (error) return fail(error.value(), "TMPDIR: " + error.message());
    std::string folder = (place / "swiommu-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) return fail(errno, folder);
    Result<> done;
    try {
      fs::permissions(folder, fs::perms{0755});  // also for a program that becomes another user
      for (SysfsEntry const& entry : entries)
        if (done) done = write(folder, entry);
      link_rest_of_all(folder);
    } catch (fs::filesystem_error const& failed) {
      done = fail(failed.code().value(), failed.what());
    }
    if (done) return folder;
    fs::remove_all(folder, error);
    return std::unexpected(std::move(done).error());
  });
}

Result<> remove_when_ended(std::string const& folder) {
  // To the first process of a container, whoever has no parent is a child.
  if (::getpid() == 1) return {};
  Descriptor const program(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  pid_t const child = program.get() < 0 ? -1 : ::fork();
  if (child == 0) wait_and_remove(program.get(), folder);
  int status = child < 0 ? errno : 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return {};
  std::error_code error;
  fs::remove_all(folder, error);
  return fail(child < 0 ? status : EAGAIN, "no process can be made that removes " + folder);
}

}  // namespace swiommu::run
