#include "tools/subcommands/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <span>

#include "base/spelling.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"

namespace swiommu::tools {

namespace {

std::vector<std::string> subcommands_of(CLI::App& program) {
  std::vector<std::string> names;
  for (CLI::App const* const command : program.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(CLI::App const& command) {
  std::vector<std::string> names;
  for (CLI::Option const* const option : command.get_options())
    for (std::string const& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string hint(std::string_view word, std::vector<std::string> const& list) {
  std::string const likely = likely_word(word.substr(0, word.find('=')), list);
  return likely.empty() ? "" : fmt::format("; did you mean {}?", likely);
}

// What is wrong with these arguments, in one line.
std::string explain(CLI::App& program, CLI::ParseError const& problem, int argc, char const* const* argv) {
  auto const chosen = program.get_subcommands();
  if (chosen.empty()) {
    auto const names = subcommands_of(program);
    std::string const list = fmt::format("{}", fmt::join(names, ", "));
    if (argc < 2) return fmt::format("say what to do: {} (see swiommu --help)", list);
    std::string_view const word = argv[1];
    if (word.starts_with("-"))
      return fmt::format("there is no option '{}' (see swiommu --help){}", word, hint(word, options_of(program)));
    return fmt::format("there is no subcommand '{}', only {}{}", word, list, hint(word, names));
  }
  CLI::App const& command = *chosen.front();
  std::string const see = fmt::format(" (see swiommu {} --help)", command.get_name());
  if (auto const rest = program.remaining(true); dynamic_cast<CLI::ExtrasError const*>(&problem) != nullptr && !rest.empty()) {
    std::string const& word = rest.front();
    if (word.starts_with("-"))
      return fmt::format("{} has no option '{}'{}{}", command.get_name(), word, see, hint(word, options_of(command)));
    return fmt::format("{} does not know what to do with '{}'{}", command.get_name(), word, see);
  }
  return problem.what() + see;
}

}  // namespace

int run_command_line(int argc, char const* const* argv, char const* version) noexcept {
  try {
    CLI::App program(
        "A software IOMMU: page tables of real hardware, nested translation, faults that say why.\n"
        "Start with `swiommu demo`, or look at a table with `swiommu translate --help`.",
        "swiommu");
    program.set_version_flag("--version", fmt::format("swiommu {}", version), "Print the version and exit");
    program.set_help_flag("-h,--help", "Print this text and exit");
    program.require_subcommand(1);
    program.footer(
        "`swiommu SUBCOMMAND --help` explains each, with examples.\n"
        "Exit status: 0 all went well, 1 an access faults or a check fails, 2 bad input, with one line on standard error.");
    program.get_formatter()->column_width(32);
    int status = all_well;
    add_formats(program, status);
    add_translate(program, status);
    add_dump(program, status);
    add_demo(program, status);
    add_profiles(program, status);
    add_devices(program, status);
    add_replay(program, status);
    add_bench(program, status);
    std::span const words(argv, static_cast<std::size_t>(argc));
    std::size_t const own = own_arguments(words);
    add_run(program, status, words.subspan(own));
    try {
      program.parse(static_cast<int>(own), argv);
    } catch (CLI::ParseError const& problem) {
      if (problem.get_exit_code() != 0) return report_bad_input(explain(program, problem, argc, argv));
      return finish_output(program.exit(problem));
    }
    return finish_output(status);
  } catch (std::exception const& problem) {
    return report_bad_input(problem.what());
  }
}

}  // namespace swiommu::tools
