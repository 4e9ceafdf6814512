// The GCR3 table (section 2.2.6): a radix tree of PASIDs, 1 to 3 levels of 512 entries, whose last level names guest tables.
#pragma once
#include <cstdint>
#include <expected>

#include "hardware/structure_path.h"

namespace swiommu::amd {

// The root of the guest table of `pasid`, from the GCR3 table of `levels` levels at `root` in `memory`.
std::expected<std::uint64_t, ConfigurationFault> find_guest_table(StructurePath& path, MemoryView const& memory,
                                                                  std::uint64_t root, unsigned levels, std::uint32_t pasid);

}  // namespace swiommu::amd
