// The stream table and the CD table, each linear or with two levels: from an id to the 64 bytes that it names.
#pragma once
#include <cstdint>
#include <expected>

#include "hardware/smmuv3/features.h"
#include "hardware/smmuv3/stream_table_entry.h"
#include "hardware/smmuv3/structure.h"
#include "hardware/structure_path.h"
#include "swiommu/hardware/smmuv3.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::smmuv3 {

// The STE of `stream` (IHI 0070, 3.3.1), the last structure on `path`.
std::expected<Structure, ConfigurationFault> find_stream_table_entry(Registers const& registers, Features const& features,
                                                                     MemoryView const& memory, std::uint32_t stream,
                                                                     StructurePath& path);

// The CD of `substream` (IHI 0070, 3.3.2), the last structure on `path`; read from `tables`: physical memory, or the view
// through stage 2. `substream` is below 2^substream_bits() of the STE.
std::expected<Structure, ConfigurationFault> find_context_descriptor(StreamTableEntry const& ste, MemoryView const& tables,
                                                                     std::uint32_t substream, StructurePath& path);

}  // namespace swiommu::smmuv3
