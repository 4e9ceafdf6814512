// swiommu devices: the models of PCI devices that `swiommu run --device` can put behind the IOMMU.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "swiommu/vfio/model_specification.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"

namespace swiommu::tools {
namespace {

using vfio::ModelKind;
using vfio::ModelOption;

std::string usage(ModelOption const& option) {
  return option.value.empty() ? std::string(option.name) : fmt::format("{}={}", option.name, option.value);
}

void show(std::span<ModelOption const> options) {
  for (ModelOption const& option : options) put("  {:<18} {}\n", usage(option), option.meaning);
}

nlohmann::ordered_json as_json(std::span<ModelOption const> options) {
  auto all = nlohmann::ordered_json::array();
  for (ModelOption const& option : options)
    all.push_back({{"name", option.name}, {"value", option.value}, {"meaning", option.meaning}});
  return all;
}

void show_as_json() {
  auto all = nlohmann::ordered_json::array();
  for (ModelKind const& kind : vfio::model_kinds())
    all.push_back({{"name", kind.name},
                   {"argument", kind.argument},
                   {"description", kind.description},
                   {"options", as_json(kind.options)}});
  put("{}\n", nlohmann::ordered_json{{"devices", all}, {"options", as_json(vfio::place_options())}}.dump(2));
}

}  // namespace

void add_devices(CLI::App& program, int& status) {
  auto* const command = program.add_subcommand("devices", "List the PCI devices that a program can be given");
  command->footer(
      "Examples:\n"
      "  swiommu run --device nvme:disk.img,size=1G,serial=7 -- ./driver\n"
      "The first device is 0000:01:00.0, /dev/vfio/devices/vfio0 and, in the older interface, /dev/vfio/1.");
  auto const json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "As JSON");
  command->callback([json, &status] {
    status = 0;
    if (*json) return show_as_json();
    for (ModelKind const& kind : vfio::model_kinds()) {
      put("{}{}{}[,OPTION...]: {}\n", kind.name, kind.argument.empty() ? "" : ":", kind.argument, kind.description);
      show(kind.options);
      put("\n");
    }
    put("every device\n");
    show(vfio::place_options());
  });
}

}  // namespace swiommu::tools
