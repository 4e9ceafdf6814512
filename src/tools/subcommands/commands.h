// The subcommands: each adds itself to the program, and sets the exit status (Status) when it runs.
#pragma once
#include <cstddef>
#include <span>

#include "tools/status.h"

namespace CLI {
class App;
}

namespace swiommu::tools {

void add_formats(CLI::App& program, int& status);
void add_translate(CLI::App& program, int& status);
void add_dump(CLI::App& program, int& status);
void add_profiles(CLI::App& program, int& status);
void add_devices(CLI::App& program, int& status);
void add_replay(CLI::App& program, int& status);
void add_bench(CLI::App& program, int& status);
void add_demo(CLI::App& program, int& status);
// `words`: the program to be run and its arguments, which are no part of our command line.
void add_run(CLI::App& program, int& status, std::span<char const* const> words);
// How many of the words of a command line are ours; for every subcommand but run, all.
[[nodiscard]] std::size_t own_arguments(std::span<char const* const> words);

}  // namespace swiommu::tools
