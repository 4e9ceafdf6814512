// What the commands print, and how.
#pragma once
#include <string>
#include <string_view>

#include "swiommu/base/access.h"
#include "swiommu/base/result.h"
#include "tools/commands.h"

namespace swiommu::tools {

// Colours, if standard output is a terminal and NO_COLOR is not set.
std::string good(std::string_view text);
std::string bad(std::string_view text);
std::string faint(std::string_view text);

// "readable, writable"
std::string rights_in_words(Access access);

// One line on stderr; returns bad_input.
int report_bad_input(Error const& error);
int report_bad_input(std::string_view message);

}  // namespace swiommu::tools
