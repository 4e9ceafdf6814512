// The command line: all subcommands, and what is said about one that makes no sense.
#pragma once

namespace swiommu::tools {

// Runs what the arguments say and returns the exit status. Nothing is thrown.
int run_command_line(int argc, char const* const* argv, char const* version) noexcept;

}  // namespace swiommu::tools
