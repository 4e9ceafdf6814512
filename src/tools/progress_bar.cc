#include "tools/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cstdio>

namespace swiommu::tools {

namespace {
constexpr std::uint64_t calls_between = 4096;
constexpr int width = 40;
}  // namespace

ProgressBar::ProgressBar() : shown_(::isatty(STDERR_FILENO) != 0 && ::isatty(STDOUT_FILENO) == 0) {}

void ProgressBar::advance(std::uint64_t address) {
  if (!shown_ || ++count_ % calls_between != 0) return;
  // Address spaces are used from the bottom and of unknown size: the logarithm moves visibly all the way.
  int const filled = width * static_cast<int>(std::bit_width(address)) / 64;
  auto const line = fmt::format("\r[{:#<{}}{:.<{}}] {} mappings, at 0x{:x} ", "", filled, "", width - filled, count_, address);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressBar::done() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

}  // namespace swiommu::tools
