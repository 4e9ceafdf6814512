// The devices that the launcher was given.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "swiommu/base/result.h"
#include "swiommu/iommufd/engine.h"
#include "swiommu/vfio/pci_bus.h"

namespace swiommu::run {

// How many there are, without making them.
[[nodiscard]] unsigned count_of_devices();

// A bus with those of a list, which are as people name them (vfio/model_specification.h). Their threads get no signals. The
// errors of parse_model() and of the models, which say which device it is.
Result<std::shared_ptr<vfio::PciBus>> make_devices(std::shared_ptr<iommufd::Engine> const& engine,
                                                   std::vector<std::string> const& names);

// The same with those of the environment.
Result<std::shared_ptr<vfio::PciBus>> chosen_devices(std::shared_ptr<iommufd::Engine> const& engine);

}  // namespace swiommu::run
