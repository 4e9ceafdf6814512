// /proc/PID/status, with what is pinned and locked by us in it.
#pragma once
#include <optional>
#include <string_view>

#include "run/holding.h"

namespace swiommu::run {

// The process that such a path is about (/proc/self/status, /proc/1234/status, /proc/self/task/1234/status). Nothing: another
// path.
[[nodiscard]] std::optional<pid_t> status_path(std::string_view path);

// open(2) of a file that says what the path's would, with our counts added. Nothing: it is another path, or nothing is to be
// added, and the real file will do.
[[nodiscard]] std::optional<int> open_status(char const* path, int flags);

// Writes `text` with VmLck and VmPin raised to `to`, which has room for 64 bytes more. Returns the length.
std::size_t add_counts(std::string_view text, PinCounts const& counts, char* to);

}  // namespace swiommu::run
