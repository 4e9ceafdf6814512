#include "run/status_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/memfd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "run/kernel_call.h"
#include "run/owner.h"
#include "run/process_state.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::run {
namespace {

// Of the engine of this process, and of the owners of all that it holds: each owner once.
PinCounts counts_of(pid_t pid) {
  PinCounts sum;
  if (Owner const* const owner = Owner::existing()) sum = owner->counts(pid);
  std::array<pid_t, 16> asked{process_state().pid};
  std::size_t known = 1;
  for (unsigned descriptor = 0; descriptor < table().end() && known < asked.size(); descriptor++) {
    Reference const held = table().find(static_cast<int>(descriptor));
    if (!held || std::find(asked.begin(), asked.begin() + known, held->owner()) != asked.begin() + known) continue;
    asked[known++] = held->owner();
    PinCounts const part = held->counts(static_cast<int>(descriptor), pid);
    sum.pinned_pages += part.pinned_pages;
    sum.locked_pages += part.locked_pages;
  }
  return sum;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool take_number(std::string_view& text, pid_t& number) {
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::optional<pid_t> status_path(std::string_view path) {
  pid_t pid = 0;
  if (!take(path, "/proc/")) return {};
  if (take(path, "self") || take(path, "thread-self"))
    pid = process_state().pid;
  else if (!take_number(path, pid))
    return {};
  pid_t thread = 0;
  if (take(path, "/task/") && !take_number(path, thread)) return {};
  return path == "/status" ? std::optional(pid) : std::nullopt;
}

std::size_t add_counts(std::string_view text, PinCounts const& counts, char* to) {
  char* out = to;
  while (!text.empty()) {
    std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    text.remove_prefix(line.size());
    std::string_view const name = line.substr(0, 6);
    std::uint64_t const pages = name == "VmLck:" ? counts.locked_pages : name == "VmPin:" ? counts.pinned_pages : 0;
    std::uint64_t kilobytes = 0;
    if (auto const digit = line.find_first_of("0123456789"); pages != 0 && digit != std::string_view::npos) {
      std::from_chars(line.data() + digit, line.data() + line.size(), kilobytes);
      out = fmt::format_to(out, "{}\t{:8} kB\n", name, kilobytes + (pages << host_page_lg2 >> 10));
    } else {
      out = std::copy(line.begin(), line.end(), out);
    }
  }
  return static_cast<std::size_t>(out - to);
}

std::optional<int> open_status(char const* path, int flags) {
  if (!anything_ours() || (flags & O_ACCMODE) != O_RDONLY) return {};
  auto const pid = status_path(path);
  if (!pid) return {};
  PinCounts const counts = counts_of(*pid);
  if (counts.pinned_pages == 0 && counts.locked_pages == 0) return {};
  long const real = kernel_call(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (real < 0) return {};
  std::array<char, 8192> text;
  std::array<char, text.size() + 64> edited;
  long const length = kernel_call(SYS_read, real, text.data(), text.size());
  kernel_call(SYS_close, real);
  if (length <= 0) return {};
  std::size_t const size = add_counts({text.data(), static_cast<std::size_t>(length)}, counts, edited.data());
  long const file = kernel_call(SYS_memfd_create, "status", (flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0U);
  if (file < 0) return {};
  kernel_call(SYS_pwrite64, file, edited.data(), size, 0);
  return static_cast<int>(file);
}

}  // namespace swiommu::run
