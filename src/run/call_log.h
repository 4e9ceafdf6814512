// --log FILE: lines of all processes in one file, each written at once so that they do not mix.
#pragma once
#include <fmt/format.h>
#include <sys/types.h>

#include <array>
#include <string_view>

namespace swiommu::run {

// Is there a log? Then it is opened by the first question in each process.
[[nodiscard]] bool logging();
// Adds the process that it is about (0: this one), and a line feed. Does not allocate.
void write_log(pid_t process, std::string_view line);

template <class... Arguments>
void log_line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  if (!logging()) return;
  std::array<char, 512> line;
  auto const end = fmt::format_to_n(line.data(), line.size(), format, std::forward<Arguments>(arguments)...).out;
  write_log(0, {line.data(), static_cast<std::size_t>(end - line.data())});
}

}  // namespace swiommu::run
