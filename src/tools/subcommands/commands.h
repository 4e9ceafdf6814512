// The subcommands: each adds itself to the program, and sets the exit status when it runs.
//
// Exit status: 0 all went well; 1 an access faulted, or a check of the demo failed; 2 bad input, with one line on stderr.
#pragma once
#include <cstddef>
#include <span>

namespace CLI {
class App;
}

namespace swiommu::tools {

enum Status : int { all_well = 0, faulted = 1, bad_input = 2 };

void add_formats(CLI::App& program, int& status);
void add_translate(CLI::App& program, int& status);
void add_dump(CLI::App& program, int& status);
void add_profiles(CLI::App& program, int& status);
void add_bench(CLI::App& program, int& status);
void add_demo(CLI::App& program, int& status);
// `words`: the program to be run and its arguments, which are no part of our command line.
void add_run(CLI::App& program, int& status, std::span<char const* const> words);
// How many of the words of a command line are ours; for every subcommand but run, all.
[[nodiscard]] std::size_t own_arguments(std::span<char const* const> words);

}  // namespace swiommu::tools
