#include "run/status_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace swiommu::run {
namespace {

std::string with(std::string_view text, PinCounts counts) {
  std::string result(text.size() + 64, '\0');
  result.resize(add_counts(text, counts, result.data()));
  return result;
}

TEST(RunStatusFile, CountsAreAddedToWhatTheKernelCounted) {
  constexpr std::string_view text = "Name:\tx\nVmLck:\t       8 kB\nVmPin:\t       0 kB\nVmHWM:\t    4711 kB\n";
  EXPECT_EQ(with(text, {2, 1}), "Name:\tx\nVmLck:\t      12 kB\nVmPin:\t       8 kB\nVmHWM:\t    4711 kB\n");
  EXPECT_EQ(with(text, {0, 0}), text);
  EXPECT_EQ(with("VmPin:\t       0 kB", {std::uint64_t{1} << 40, 0}), "VmPin:\t4398046511104 kB\n");
  EXPECT_EQ(with("", {1, 1}), "");
  EXPECT_EQ(with("VmPin:\n", {1, 1}), "VmPin:\n");
}

TEST(RunStatusFile, PathsSayWhichProcess) {
  pid_t const self = ::getpid();
  EXPECT_EQ(status_path("/proc/self/status"), self);
  EXPECT_EQ(status_path("/proc/thread-self/status"), self);
  EXPECT_EQ(status_path("/proc/1234/status"), 1234);
  EXPECT_EQ(status_path("/proc/1234/task/1235/status"), 1234);
  for (char const* const other : {"/proc/self/statusx", "/proc/self/stat", "/proc/selfstatus", "/proc//status", "/proc/1x/status",
                                  "/proc/self/task/status", "/proc/99999999999999999999/status", "status", ""})
    EXPECT_FALSE(status_path(other)) << other;
}

}  // namespace
}  // namespace swiommu::run
