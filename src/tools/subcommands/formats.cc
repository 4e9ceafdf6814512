// swiommu formats: every page-table format with its sizes, levels and configurations.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "profile/format_names.h"
#include "swiommu/page_table/page_table.h"
#include "tools/numbers.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"

namespace swiommu::tools {

namespace {

std::vector<unsigned> sizes_of(std::uint64_t page_sizes) {
  std::vector<unsigned> sizes;
  for (unsigned lg2 = 0; lg2 < 64; lg2++)
    if ((page_sizes >> lg2 & 1) != 0) sizes.push_back(lg2);
  return sizes;
}

Result<TableShape> shape_of(NamedFormat const& format, unsigned levels) {
  FormatConfiguration configuration = format.configuration;
  if (levels != 0) configuration.levels = levels;
  auto const allocator = TableAllocator::create(TableAllocator::default_reserve >> 6);
  if (!allocator) return std::unexpected(allocator.error());
  auto const table = PageTable::create(configuration, *allocator);
  if (!table) return std::unexpected(table.error());
  return (*table)->shape();
}

Result<void> print(NamedFormat const& format, unsigned levels, bool json) {
  auto const shape = shape_of(format, levels);
  if (!shape) return std::unexpected(shape.error());
  if (json) {
    nlohmann::ordered_json line;
    line["format"] = format.name;
    line["description"] = format.description;
    line["levels"] = shape->levels;
    line["input_bits"] = shape->input_bits;
    line["output_bits"] = shape->output_bits;
    line["sign_extended"] = shape->upper.has_value();
    line["page_sizes"] = nlohmann::ordered_json::array();
    for (unsigned const lg2 : sizes_of(shape->page_sizes)) line["page_sizes"].push_back(bit(lg2));
    line["tracks_dirty"] = shape->tracks_dirty;
    line["byte_order"] = format.big_endian ? "big" : "little";
    put("{}\n", line.dump());
  } else {
    put("{:<18} {:>6} {:>6} {:>7}  {:<22} {}\n", format.name, shape->levels,
        fmt::format("{}{}", shape->input_bits, shape->upper ? "s" : ""), shape->output_bits, size_list(shape->page_sizes),
        format.description);
  }
  return {};
}

}  // namespace

void add_formats(CLI::App& program, int& status) {
  auto* const command = program.add_subcommand("formats", "List the page-table formats");
  command->footer(
      "Examples:\n"
      "  swiommu formats\n"
      "  swiommu formats --json\n"
      "Exit status: 0.");
  auto const json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "One JSON object a line");
  command->callback([json, &status] {
    if (!*json) put("{:<18} {:>6} {:>6} {:>7}  {:<22} {}\n", "FORMAT", "LEVELS", "INPUT", "OUTPUT", "PAGE SIZES", "WHAT");
    for (NamedFormat const& format : named_formats()) {
      std::vector<unsigned> levels = format.levels;
      if (levels.empty()) levels.push_back(0);
      for (unsigned const n : levels)
        if (auto const printed = print(format, n, *json); !printed) {
          status = report_bad_input(printed.error());
          return;
        }
    }
    if (!*json) put("\nINPUT and OUTPUT are widths in bits; s: sign-extended. Formats with several LEVELS take --levels.\n");
  });
}

}  // namespace swiommu::tools
