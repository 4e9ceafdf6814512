// What sysfs says of a function, of its group, and of the IOMMU: text files and links, under Linux' names.
#pragma once
#include <span>
#include <vector>

#include "swiommu/iommufd/engine.h"
#include "swiommu/vfio/pci_bus.h"
#include "vfio/pci_function.h"

namespace swiommu::vfio {

// May throw std::bad_alloc.
std::vector<SysfsEntry> list_sysfs(std::span<std::shared_ptr<PciFunction> const> functions, Profile const& profile,
                                   PciBus::DeviceNumbers const& numbers);

}  // namespace swiommu::vfio
