#include "tools/output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace swiommu::tools {

namespace {

std::string coloured(std::string_view text, char const* code) {
  bool const colours = ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  return colours ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

// One line, whatever is in the message: input can hold anything.
void put_error(std::string_view message) {
  std::string line = fmt::format("swiommu: {}", message);
  std::ranges::replace_if(line, [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);  // there is nobody to tell that it failed
}

bool reader_is_gone() noexcept {
  pollfd descriptor{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return ::poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLERR) != 0;
}

}  // namespace

void put_text(std::string_view text) noexcept { std::fwrite(text.data(), 1, text.size(), stdout); }

int finish_output(int status) noexcept {
  bool const written = std::cout.flush().good() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (written) return status;
  return reader_is_gone() ? static_cast<int>(bad_input) : report_bad_input("standard output cannot be written");
}

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
  put_error(message);
  return bad_input;
}

int report_fault(std::string_view message) {
  put_error(message);
  return faulted;
}

}  // namespace swiommu::tools
