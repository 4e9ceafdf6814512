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

// Reads a short file of a thread of this process: "stat", "comm". Empty: it has gone.
std::string_view read(std::array<char, 256>& text, std::string_view thread, std::string_view name) {
  std::array<char, 64> path;
  *fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/task/{}/{}", thread, name).out = 0;
  long const file = kernel_call(SYS_openat, AT_FDCWD, path.data(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  long const got = kernel_call(SYS_read, file, text.data(), text.size());
  kernel_call(SYS_close, file);
  return {text.data(), got < 0 ? 0 : static_cast<std::size_t>(got)};
}

// The state is the letter behind the name, which is in brackets and may hold anything.
bool main_thread_has_ended() {
  std::array<char, 256> text;
  std::array<char, 16> thread{};
  fmt::format_to_n(thread.data(), thread.size() - 1, "{}", process_state().pid);
  std::string_view const line = read(text, thread.data(), "stat");
  auto const name_end = line.rfind(')');
  return name_end != std::string_view::npos && line.substr(name_end).starts_with(") Z");
}

// Those that have not the name of ours.
unsigned count_threads() {
  long const folder = kernel_call(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return ~0U;
  alignas(8) std::array<char, 4096> entries;
  unsigned count = 0;
  for (long got = 0; (got = kernel_call(SYS_getdents64, folder, entries.data(), entries.size())) > 0;)
    for (long at = 0; at < got;) {
      dirent64 const& entry = *reinterpret_cast<dirent64 const*>(entries.data() + at);
      at += entry.d_reclen;
      std::array<char, 256> name;
      if (entry.d_name[0] != '.' && read(name, entry.d_name, "comm") != "swiommu\n") count++;
    }
  kernel_call(SYS_close, folder);
  return count;
}

}  // namespace

bool program_has_ended() { return main_thread_has_ended() && count_threads() <= 1; }

}  // namespace swiommu::run
