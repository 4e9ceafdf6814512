// The `swiommu` program.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>

#include "tools/commands.h"
#include "tools/output.h"

int main(int argc, char** argv) {
  using namespace swiommu::tools;
  CLI::App program("A software IOMMU: page tables of real hardware, nested translation, faults that say why.\n"
                   "Start with `swiommu demo`, or look at a table with `swiommu translate --help`.",
                   "swiommu");
  program.set_version_flag("--version", "swiommu " SWIOMMU_VERSION);
  program.require_subcommand(1);
  program.get_formatter()->column_width(32);
  int status = all_well;
  add_formats(program, status);
  add_translate(program, status);
  add_dump(program, status);
  add_demo(program, status);
  try {
    program.parse(argc, argv);
  } catch (CLI::ParseError const& problem) {
    if (problem.get_exit_code() == 0) return program.exit(problem);
    return report_bad_input(fmt::format("{} (try --help)", problem.what()));
  } catch (std::exception const& problem) {
    return report_bad_input(problem.what());
  }
  return status;
}
