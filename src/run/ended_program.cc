#include "run/ended_program.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <string_view>

#include "run/kernel_call.h"
#include "run/process_state.h"

namespace swiommu::run {
namespace {

// The state is the letter behind the name, which is in brackets and may hold anything.
bool main_thread_has_ended() {
  std::array<char, 64> path;
  *fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/task/{}/stat", process_state().pid).out = 0;
  long const file = kernel_call(SYS_openat, AT_FDCWD, path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::array<char, 256> text;
  long const got = kernel_call(SYS_read, file, text.data(), text.size());
  kernel_call(SYS_close, file);
  if (got <= 0) return false;
  std::string_view const line(text.data(), static_cast<std::size_t>(got));
  auto const name_end = line.rfind(')');
  return name_end != std::string_view::npos && line.substr(name_end).starts_with(") Z");
}

unsigned count_threads() {
  long const folder = kernel_call(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return ~0U;
  alignas(8) std::array<char, 4096> entries;
  unsigned count = 0;
  for (long got = 0; (got = kernel_call(SYS_getdents64, folder, entries.data(), entries.size())) > 0;)
    for (long at = 0; at < got;) {
      dirent64 const& entry = *reinterpret_cast<dirent64 const*>(entries.data() + at);
      at += entry.d_reclen;
      if (entry.d_name[0] != '.') count++;
    }
  kernel_call(SYS_close, folder);
  return count;
}

}  // namespace

bool program_has_ended(unsigned ours) { return main_thread_has_ended() && count_threads() <= ours + 1; }

}  // namespace swiommu::run
