// swiommu demo: what the library is for, on the memory of real guests.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/case_folder.h"
#include "tools/demo_act.h"
#include "tools/demo_guest.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"

namespace swiommu::tools {

namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> cases;
  bool quiet = false;
  bool json = false;
};

// The cases that come with the project: beside the sources, or installed.
std::vector<std::string> usual_cases() {
  std::vector<std::string> cases;
  for (char const* const folder : {SWIOMMU_CORPUS, SWIOMMU_INSTALLED_CORPUS}) {
    std::error_code ignored;
    for (auto const& entry : fs::directory_iterator(folder, ignored))
      if (fs::exists(entry.path() / "case.json", ignored)) cases.push_back(entry.path().string());
    if (!cases.empty()) break;
  }
  std::ranges::sort(cases);
  return cases;
}

Result<bool> show(std::string const& folder, Options const& o) {
  auto const description = read_case(folder);
  if (!description) return std::unexpected(description.error());
  auto const image = MemoryImage::load(description->memory);
  if (!image) return std::unexpected(image.error());
  auto const guest = DemoGuest::create(**image);
  if (!guest) return std::unexpected(guest.error());
  DemoAct act(*description, **guest, o.quiet || o.json);
  SWIOMMU_TRY(act.run());
  bool const all_hold = act.failures() == 0;
  if (o.json) {
    nlohmann::ordered_json line;
    line["case"] = description->name;
    line["checks"] = act.checks();
    line["failures"] = act.failures();
    put("{}\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else if (o.quiet) {
    put("{:<24} {:>7} checks  {}\n", description->name, act.checks(), all_hold ? good("all hold") : bad("failed"));
  } else {
    put("\n");
  }
  return all_hold;
}

int run(Options const& o) {
  std::vector<std::string> const cases = o.cases.empty() ? usual_cases() : o.cases;
  if (cases.empty()) return report_bad_input("there are no cases beside the program: give --case DIR");
  std::size_t held = 0;
  for (std::string const& folder : cases) {
    auto const outcome = show(folder, o);
    if (!outcome) return report_bad_input(outcome.error());
    if (*outcome) held++;
  }
  if (!o.json) put("{} of {} cases: every check holds\n", held, cases.size());
  return held == cases.size() ? all_well : faulted;
}

}  // namespace

void add_demo(CLI::App& program, int& status) {
  auto* const command =
      program.add_subcommand("demo", "Run real guests' memory through the whole tree of translations, and check it");
  command->footer(
      "For each case: map a real guest's memory 1:1 into a paging domain (pinned), find the anchor of its I/O page table from "
      "the\n"
      "hardware's own structures, put a nested domain on it, do DMA through both levels and check the data; then let the guest\n"
      "write a second table, move the anchor to it, and show by the data and by poison that only the new one is used; provoke\n"
      "faults and explain each.\n"
      "Examples:\n"
      "  swiommu demo\n"
      "  swiommu demo --quiet\n"
      "  swiommu demo --case tests/corpus/s390-vfio-nvme\n"
      "Exit status: 0 every check holds, 1 one does not, 2 bad input.");
  auto const options = std::make_shared<Options>();
  command->add_option("--case", options->cases, "Folder of a case; without any, those that come with the project")
      ->type_name("DIR");
  command->add_flag("--quiet", options->quiet, "One line a case");
  command->add_flag("--json", options->json, "One JSON object a case");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace swiommu::tools
