// What a process is allowed to do.
#pragma once
#include <sys/types.h>

#include "swiommu/iommufd/caller.h"

namespace swiommu::run {

// pid 0: the calling thread.
[[nodiscard]] bool has_capability(pid_t pid, iommufd::Capability capability);

// Where a container withholds a capability from everybody, root is believed to have it: nothing here needs the kernel's consent.
[[nodiscard]] bool root_is_believed(iommufd::Capability capability);

}  // namespace swiommu::run
