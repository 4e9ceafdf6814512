// From what a device's structures say to the domains that do it.
#pragma once
#include "swiommu/domain/context_source.h"
#include "swiommu/domain/domain.h"

namespace swiommu {

// Builds the branch of the tree that `configuration` describes on top of `parent` (guest memory: a paging domain, or the
// identity domain of a memory image) and returns its tip. A table that the hardware itself walks under another one becomes
// a nested domain of its own, opened over the table as it lies in memory, and the user page table stands on it.
// EINVAL: a table's format has no such configuration. ENOMEM.
Result<std::shared_ptr<Domain>> open_configuration(std::shared_ptr<Domain> parent, DeviceConfiguration const& configuration);

// The memory that a table found in memory gives a view of, for hardware that reads further structures through it.
// Nothing if the format has no such configuration.
std::unique_ptr<MemoryView> open_parent(UserPageTable const& parent, MemoryView const& below);

}  // namespace swiommu
