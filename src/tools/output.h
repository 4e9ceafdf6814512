// What the commands print, and how.
#pragma once
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "swiommu/base/access.h"
#include "swiommu/base/result.h"
#include "tools/status.h"

namespace swiommu::tools {

// To standard output. That it fails shows at the end (finish_output) and in std::ferror(stdout); nothing is thrown.
void put_text(std::string_view text) noexcept;
template <class... Values>
void put(fmt::format_string<Values...> format, Values&&... values) {
  put_text(fmt::format(format, std::forward<Values>(values)...));
}

// To be called last: returns `status`, or bad_input if standard output could not be written. A reader that went away, as in
// `swiommu dump ... | head`, is no reason to say something.
int finish_output(int status) noexcept;

// Colours, if standard output is a terminal and NO_COLOR is not set.
std::string good(std::string_view text);
std::string bad(std::string_view text);
std::string faint(std::string_view text);

// "readable, writable"
std::string rights_in_words(Access access);

// One line on stderr; returns bad_input.
int report_bad_input(Error const& error);
int report_bad_input(std::string_view message);

// The same line, for something that is no mistake of the user: returns faulted.
int report_fault(std::string_view message);

}  // namespace swiommu::tools
