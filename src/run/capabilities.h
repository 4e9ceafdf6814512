// What a process is allowed to do.
#pragma once
#include <sys/types.h>

#include "swiommu/iommufd/caller.h"

namespace swiommu::run {

// pid 0: the calling thread.
[[nodiscard]] bool has_capability(pid_t pid, iommufd::Capability capability);

}  // namespace swiommu::run
