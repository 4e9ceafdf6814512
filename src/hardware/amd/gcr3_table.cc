#include "hardware/amd/gcr3_table.h"

#include <fmt/format.h>

#include "swiommu/base/bits.h"

namespace swiommu::amd {

std::string illegal_guest_translation(DeviceTableEntry const& entry, Features const& features) {
  if (!entry.guest_valid()) return {};
  if (!features.has(Feature::guest_translation))
    return "asks for guest translation (GV = 1), which this IOMMU does not have (GTSup = 0)";
  if (entry.guest_io_valid() && !features.has(Feature::guest_io))
    return "asks for guest translation without PASID (GIOV = 1), which this IOMMU does not have (GIOSup = 0)";
  if (entry.gcr3_levels() == 4) return "has a reserved number of GCR3 table levels (GLX = 3)";
  if (entry.gcr3_levels() > features.gcr3_levels())
    return fmt::format("asks for a GCR3 table of {} levels, more than this IOMMU has (GLXSup: {})", entry.gcr3_levels(),
                       features.gcr3_levels());
  if (entry.guest_paging_mode() > 1)
    return fmt::format("has a reserved guest paging mode (GuestPagingMode = {})", entry.guest_paging_mode());
  if (entry.guest_paging_mode() + 4 > features.guest_levels())
    return "asks for guest tables of 5 levels, more than this IOMMU has (GATS: 4)";
  return {};
}

std::expected<UserPageTable, ConfigurationFault> find_guest_table(StructurePath& path, MemoryView const& memory,
                                                                  DeviceTableEntry const& from, std::uint32_t pasid,
                                                                  unsigned output_bits) {
  unsigned const levels = from.gcr3_levels();
  // Bits 4:3 are PCD and PWT of the last level, which say something to caches only.
  constexpr std::uint64_t reserved = bit_span(63, 52) | bit_span(11, 5) | bit_span(2, 1);
  if (pasid >> 9 * levels != 0)
    return path.fault(
        fmt::format("has a GCR3 table of {} level{}, too small for PASID {:#x}", levels, levels == 1 ? "" : "s", pasid));
  std::uint64_t table = from.gcr3_root();
  for (unsigned level = levels; level > 0; level--) {
    std::uint64_t const index = pasid >> 9 * (level - 1) & 0x1ff;
    auto const entry = path.read<1>(memory, fmt::format("level {} GCR3 table entry", level), table + 8 * index);
    if (!entry) return std::unexpected(entry.error());
    std::uint64_t const word = entry->front();
    if ((word & bit(0)) == 0) return path.fault("is not valid (V = 0)");
    if (std::uint64_t const bits = word & reserved) return path.fault("has reserved bits set: " + bit_list(bits));
    table = word & bit_span(51, 12);
    path.means(level > 1 ? fmt::format("level {} GCR3 table at {:#x}", level - 1, table)
                         : fmt::format("PASID {:#x}: guest table at {:#x}", pasid, table));
  }
  // The manual has guest tables behave as the processor's do: accessed and dirty flags are always set. For PASID 0 inputs
  // are not sign-extended, all their bits count upwards.
  return UserPageTable{.format = {.format = FormatName::x86_64,
                                  .levels = from.guest_paging_mode() + 4,
                                  .output_bits = output_bits,
                                  .zero_extended = pasid == 0,
                                  .accessed_updates = true,
                                  .dirty_updates = true},
                       .root = table};
}

}  // namespace swiommu::amd
