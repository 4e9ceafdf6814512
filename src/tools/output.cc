#include "tools/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace swiommu::tools {

namespace {

std::string coloured(std::string_view text, char const* code) {
  bool const colours = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  return colours ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

}  // namespace

std::string good(std::string_view text) { return coloured(text, "32"); }
std::string bad(std::string_view text) { return coloured(text, "31"); }
std::string faint(std::string_view text) { return coloured(text, "2"); }

std::string rights_in_words(Access access) {
  if (access.read && access.write) return "readable, writable";
  if (access.read) return "read-only";
  return access.write ? "write-only" : "no access";
}

int report_bad_input(Error const& error) {
  // The errno's text says nothing more where the input itself is described.
  return report_bad_input(error.code == EINVAL || error.about.empty() ? error.about : error.message());
}

int report_bad_input(std::string_view message) {
  std::string line(message);
  std::ranges::replace(line, '\n', ' ');
  fmt::print(stderr, "swiommu: {}\n", line);
  return bad_input;
}

}  // namespace swiommu::tools
