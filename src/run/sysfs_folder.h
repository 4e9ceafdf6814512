// What /sys says of the devices, as files in a folder of ours that the program is sent to.
#pragma once
#include <span>
#include <string>

#include "swiommu/base/result.h"
#include "swiommu/vfio/pci_bus.h"

namespace swiommu::run {

// Writes all of it into a new folder, with links to what the system has besides in the same folders. The errno of the calls.
Result<std::string> write_sysfs(std::span<vfio::SysfsEntry const> entries);

// Removes the folder once this process, or what it becomes by execve(2), has ended; not where this is process 1. If that cannot
// be arranged the folder is removed at once. The errno of fork(2).
Result<> remove_when_ended(std::string const& folder);

}  // namespace swiommu::run
