#include "run/chosen_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "run/blocked_signals.h"
#include "run/call_log.h"
#include "run/environment.h"
#include "run/remembered_variable.h"
#include "swiommu/vfio/model_specification.h"

namespace swiommu::run {
namespace {

constinit RememberedVariable list_of_devices(devices_variable);

}  // namespace

unsigned count_of_devices() {
  std::string_view const list = list_of_devices.value();
  return list.empty() ? 0 : static_cast<unsigned>(std::ranges::count(list, '\n')) + 1;
}

Result<std::shared_ptr<vfio::PciBus>> make_devices(std::shared_ptr<iommufd::Engine> const& engine,
                                                   std::vector<std::string> const& names) {
  return guarded([&]() -> Result<std::shared_ptr<vfio::PciBus>> {
    BlockedSignals const blocked;
    auto bus = vfio::PciBus::create(engine, [](vfio::PciAddress address, FaultRecord const& fault) {
      if (logging()) log_line("device {}: {}", address.text(), describe(fault));
    });
    if (!bus) return bus;
    for (std::string const& name : names) {
      auto const specification = vfio::parse_model(name);
      if (!specification) return std::unexpected(specification.error());
      if (auto const placed = (*bus)->add(specification->place, specification->make); !placed)
        return fail(placed.error().code, fmt::format("device {}: {}", name, placed.error().about));
    }
    return bus;
  });
}

Result<std::shared_ptr<vfio::PciBus>> chosen_devices(std::shared_ptr<iommufd::Engine> const& engine) {
  return guarded([&] {
    std::vector<std::string> names;
    for (std::string_view list = list_of_devices.value(); !list.empty();) {
      std::string_view const line = list.substr(0, list.find('\n'));
      names.emplace_back(line);
      list.remove_prefix(std::min(list.size(), line.size() + 1));
    }
    return make_devices(engine, names);
  });
}

}  // namespace swiommu::run
