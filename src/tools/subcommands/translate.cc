// swiommu translate: walks, level by level, and why a DMA faults.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "swiommu/device/fault_record.h"
#include "tools/numbers.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"
#include "tools/subcommands/translation_source.h"
#include "tools/walk_text.h"

namespace swiommu::tools {

namespace {

struct Options {
  SourceOptions source;
  std::vector<std::string> requests;
  bool json = false;
};

nlohmann::ordered_json head(Request const& request) {
  nlohmann::ordered_json line;
  line["iova"] = hex(request.iova);
  line["access"] = request.access.write ? "w" : "r";
  return line;
}

void print_json(Request const& request, Translation const& t) {
  auto line = head(request);
  if (t.ok()) {
    line["output"] = hex(t.output);
    // A bypass has no pages.
    if (t.size_lg2 < 64)
      line["page_size"] = bit(t.size_lg2);
    else
      line["page_size"] = nullptr;
    line["readable"] = t.attributes.access.read;
    line["writable"] = t.attributes.access.write;
  } else {
    line["fault"] = name(t.reason);
    line["level"] = t.walk.level;
    line["entry"] = hex(t.walk.entry);
  }
  put("{}\n", line.dump());
}

void print_json(Request const& request, ConfigurationFault const& fault) {
  auto line = head(request);
  line["fault"] = name(Reason::configuration);
  line["level"] = 0;
  line["entry"] = hex(fault.entry);
  line["about"] = fault.about;
  put("{}\n", line.dump());
}

// Returns whether the access is possible.
bool translate(TranslationSource const& source, Request const& request, bool json) {
  char const* const access = request.access.write ? "write" : "read";
  if (source.fault) {
    if (json)
      print_json(request, *source.fault);
    else
      put("iova {}, {}\n  {} configuration: {}\n", hex(request.iova), access, bad("fault"), source.fault->about);
    return false;
  }
  Translation const t = source.domain->translate(request.iova, request.access, Update::no);
  if (json) {
    print_json(request, t);
    return t.ok();
  }
  put("iova {}, {}\n", hex(request.iova), access);
  print_walks(*source.domain, request.iova, request.access);
  if (t.ok()) {
    put("  {} {}  page {}, {}{}\n", good("->"), hex(t.output), size_name(t.size_lg2), rights_in_words(t.attributes.access),
        source.image->locate(t.output, request.access) ? "" : ", not in the memory image");
  } else {
    FaultRecord const record = fault_of(*source.domain, t, request.iova, request.access);
    put("  {} {}: {}\n", bad("fault"), name(t.reason), describe(record));
  }
  return t.ok();
}

int run(Options const& o) {
  if (o.requests.empty()) return report_bad_input("say which address: translate takes one IOVA or more (0x1000, 0x1000:w)");
  std::vector<Request> requests;
  for (std::string const& text : o.requests) {
    auto const request = parse_request(text);
    if (!request) return report_bad_input(request.error());
    requests.push_back(*request);
  }
  auto const source = open_source(o.source);
  if (!source) return report_bad_input(source.error());
  if (!o.json) print_steps(source->steps);
  int status = all_well;
  for (Request const& request : requests)
    if (!translate(*source, request, o.json)) status = faulted;
  return status;
}

}  // namespace

void add_translate(CLI::App& program, int& status) {
  auto* const command =
      program.add_subcommand("translate", "Walk a page table in a memory image and say where an iova leads, or why not");
  command->footer(
      "Examples:\n"
      "  swiommu translate --case tests/corpus/vtd-fs-vfio-nvme 0x4a04c008 0x4594f010:w\n"
      "  swiommu translate --memory core.zst --format riscv-sv48 --root 0x80a80000 0x1000\n"
      "  swiommu translate --memory core --iommu vtd --register RTADDR=0x141143400 --device 00:05.0 0x4a04c008\n"
      "Exit status: 0 every access is possible, 1 one faults, 2 bad input.");
  auto const options = std::make_shared<Options>();
  add_source_options(*command, options->source);
  command->add_flag("--json", options->json, "One JSON object a line, in the order asked");
  command->add_option("IOVA", options->requests, "Addresses, each with :r or :w for the access (default r)")
      ->type_name("[:r|:w]");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace swiommu::tools
