// What a process is allowed to do.
#pragma once
#include <sys/types.h>

#include "swiommu/iommufd/caller.h"

namespace swiommu::run {

// A process of that user; pid 0: the calling thread.
[[nodiscard]] bool has_capability(pid_t pid, uid_t user, iommufd::Capability capability);

}  // namespace swiommu::run
