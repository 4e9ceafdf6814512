// Which models of PCI functions there are, and how people name one: "nvme:disk.img,serial=7".
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "swiommu/base/result.h"
#include "swiommu/vfio/pci_bus.h"

namespace swiommu::vfio {

struct ModelOption {
  std::string_view name;   // "serial"
  std::string_view value;  // "TEXT"; empty: the name alone is the option
  std::string_view meaning;
};

struct ModelKind {
  std::string_view name;         // "nvme"
  std::string_view argument;     // what stands behind the colon: "IMAGE"; empty: nothing does
  std::string_view description;  // one line
  std::span<ModelOption const> options;
};

// All of them, with the options that each has for itself.
[[nodiscard]] std::span<ModelKind const> model_kinds();
// Those that all have.
[[nodiscard]] std::span<ModelOption const> place_options();

// A function to be added to a bus.
struct ModelSpecification {
  PciBus::Place place;
  MakeModel make;
  std::string text;  // the same again, good in any working directory
};

// EINVAL: there is no such model or option, or not such a value, and what there is. Files are opened when the model is made.
Result<ModelSpecification> parse_model(std::string_view text);

}  // namespace swiommu::vfio
