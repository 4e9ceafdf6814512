// swiommu dump: all mappings of a table.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "swiommu/domain/mapping_visit.h"
#include "tools/numbers.h"
#include "tools/output.h"
#include "tools/progress_bar.h"
#include "tools/subcommands/commands.h"
#include "tools/subcommands/translation_source.h"
#include "tools/walk_text.h"

namespace swiommu::tools {

namespace {

// Tables that point at each other can describe more mappings than anybody wants to read.
constexpr char const* usual_limit = "4294967296";

struct Options {
  SourceOptions source;
  std::string limit = usual_limit;
  bool json = false;
};

char const* name(MemoryType type) {
  switch (type) {
    case MemoryType::normal: return "normal";
    case MemoryType::noncacheable: return "noncacheable";
    case MemoryType::device: return "device";
  }
  return "unknown";
}

void print_json(MappedRange const& mapping) {
  nlohmann::ordered_json line;
  line["iova"] = hex(mapping.range.start);
  line["last"] = hex(mapping.range.last);
  line["output"] = hex(mapping.output);
  line["readable"] = mapping.attributes.access.read;
  line["writable"] = mapping.attributes.access.write;
  if (mapping.size_lg2 < 64)
    line["page_size"] = bit(mapping.size_lg2);
  else
    line["page_size"] = nullptr;
  put("{}\n", line.dump());
}

void print_text(MappedRange const& mapping) {
  Attributes const& a = mapping.attributes;
  put("{:>18} - {:<18} -> {:<18} {:>6}  {}{}  {}{}\n", hex(mapping.range.start), hex(mapping.range.last), hex(mapping.output),
      size_name(mapping.size_lg2), a.access.read ? 'r' : '-', a.access.write ? 'w' : '-', name(a.memory),
      a.coherent ? ", coherent" : "");
}

int run(Options const& o) {
  auto const limit = parse_number(o.limit, "the limit");
  if (!limit) return report_bad_input(limit.error());
  auto const source = open_source(o.source);
  if (!source) return report_bad_input(source.error());
  if (source->fault) return report_fault(fmt::format("configuration: {}", source->fault->about));
  if (!o.json) {
    print_steps(source->steps);
    put("{:>18} - {:<18} -> {:<18} {:>6}  {}  {}\n", "IOVA", "LAST", "OUTPUT", "PAGE", "RW", "MEMORY");
  }
  std::uint64_t mappings = 0;
  ProgressBar progress;
  bool const complete = visit_coalesced(
      *source->domain, Range::all(),
      [&](MappedRange const& mapping) {
        o.json ? print_json(mapping) : print_text(mapping);
        mappings++;
        progress.advance(mapping.range.last);
        return std::ferror(stdout) == 0;
      },
      *limit);
  progress.done();
  if (!complete && std::ferror(stdout) == 0)
    return report_fault(fmt::format("stopped after {} entries: the tables point at each other, or --limit is too small", *limit));
  if (!o.json) put("{} mappings\n", mappings);
  return all_well;
}

}  // namespace

void add_dump(CLI::App& program, int& status) {
  auto* const command = program.add_subcommand("dump", "List all mappings of a page table in a memory image, neighbours joined");
  command->footer(
      "Examples:\n"
      "  swiommu dump --case tests/corpus/amd-v1-igb\n"
      "  swiommu dump --memory core --format vtd-second-stage --levels 3 --root 0x141150000 --json\n"
      "Exit status: 0 all listed, 1 the device's structures lead to no table or the list was cut, 2 bad input.");
  auto const options = std::make_shared<Options>();
  add_source_options(*command, options->source);
  command->add_option("--limit", options->limit, "Stop after so many entries have been read")
      ->type_name("N")
      ->capture_default_str();
  command->add_flag("--json", options->json, "One JSON object a line");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace swiommu::tools
