// The GCR3 table (section 2.2.6): a radix tree of PASIDs, 1 to 3 levels of 512 entries, whose last level names guest tables.
#pragma once
#include <cstdint>
#include <expected>
#include <string>

#include "hardware/amd/device_table_entry.h"
#include "hardware/amd/features.h"
#include "hardware/structure_path.h"

namespace swiommu::amd {

// What is wrong with the guest translation that a valid entry asks for (section 2.5.2, ILLEGAL_DEV_TABLE_ENTRY); empty if nothing
// is.
std::string illegal_guest_translation(DeviceTableEntry const& entry, Features const& features);

// The guest table of `pasid`, from the GCR3 table of `entry` in `memory`. `output_bits`: as FormatConfiguration has it.
std::expected<UserPageTable, ConfigurationFault> find_guest_table(StructurePath& path, MemoryView const& memory,
                                                                  DeviceTableEntry const& entry, std::uint32_t pasid,
                                                                  unsigned output_bits);

}  // namespace swiommu::amd
