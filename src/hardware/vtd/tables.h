// The steps from the root table to the entry that names page tables.
#pragma once
#include <array>
#include <cstdint>
#include <expected>
#include <optional>

#include "hardware/structure_path.h"
#include "hardware/vtd/capabilities.h"

namespace swiommu::vtd {

struct Lookup {
  Capabilities capabilities;
  unsigned host_address_width;  // 0 = unknown
  MemoryView const& memory;
  StructurePath& path;
};

// An address that an entry holds, or why there is none.
using Found = std::expected<std::uint64_t, ConfigurationFault>;

// The root entry of the device's bus, legacy (section 9.1) or scalable (section 9.2): address of the context table that
// holds the device's context entry.
Found context_table(Lookup& lookup, std::uint64_t root_table, std::uint32_t device, bool scalable);

// Legacy mode, the context entry (section 9.3): it names the page table itself.
Configuration legacy_configuration(Lookup& lookup, std::uint64_t context_table, std::uint32_t device,
                                   std::optional<std::uint32_t> pasid);

// Scalable mode, context entry and PASID directory entry (sections 9.4, 9.5): address of the PASID table entry.
Found pasid_table_entry(Lookup& lookup, std::uint64_t context_table, std::uint32_t device, std::optional<std::uint32_t> pasid);

// Scalable mode, the PASID table entry (section 9.6): it names the page tables.
Configuration scalable_configuration(Lookup& lookup, std::uint64_t address);

// A path that leads to no page table: DMA goes out as it comes.
DeviceConfiguration bypass(StructurePath& path);

UserPageTable second_stage_table(Lookup const& lookup, std::uint64_t root, unsigned levels);

}  // namespace swiommu::vtd
