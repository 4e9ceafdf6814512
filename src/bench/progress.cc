#include "bench/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace swiommu::bench {

namespace {
constexpr std::size_t width = 30;
}

Progress::Progress(std::size_t total) : shown_(::isatty(STDERR_FILENO) != 0), total_(total) {}

void Progress::advance(std::string_view what) {
  begun_++;
  if (!shown_) return;
  std::size_t const filled = std::min(width, width * begun_ / std::max<std::size_t>(total_, 1));
  auto const line = fmt::format("\r\033[K[{:#<{}}{:.<{}}] {}/{} {:.60}", "", filled, "", width - filled, begun_, total_, what);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_ || begun_ == 0) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace swiommu::bench
