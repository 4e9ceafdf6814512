#include "hardware/amd/gcr3_table.h"

#include <fmt/format.h>

#include "swiommu/base/bits.h"

namespace swiommu::amd {

std::expected<std::uint64_t, ConfigurationFault> find_guest_table(StructurePath& path, MemoryView const& memory,
                                                                  std::uint64_t root, unsigned levels, std::uint32_t pasid) {
  // Bits 4:3 are PCD and PWT of the last level, which say something to caches only.
  constexpr std::uint64_t reserved = bit_span(63, 52) | bit_span(11, 5) | bit_span(2, 1);
  if (pasid >> 9 * levels != 0)
    return path.fault(
        fmt::format("has a GCR3 table of {} level{}, too small for PASID {:#x}", levels, levels == 1 ? "" : "s", pasid));
  std::uint64_t table = root;
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
  return table;
}

}  // namespace swiommu::amd
