#include "hardware/riscv/directory.h"

#include <fmt/format.h>

#include "swiommu/base/bits.h"

namespace swiommu::riscv {

std::expected<std::uint64_t, ConfigurationFault> find_leaf_page(Directory const& directory, std::uint32_t id,
                                                                StructurePath& path) {
  std::uint64_t page = directory.root;
  std::string const what = fmt::format("{} entry", directory.name);
  for (unsigned level = directory.levels - 1; level > 0; --level) {
    std::uint64_t const index = std::uint64_t{id} >> (directory.leaf_bits + 9 * (level - 1)) & low_bits(9);
    auto const words = path.read<1>(directory.memory, what, page + 8 * index,
                                    {.event = directory.load_event, .big_endian = directory.big_endian});
    if (!words) return std::unexpected(words.error());
    std::uint64_t const entry = words->front();
    if ((entry & 1) == 0) return path.fault(fmt::format("is not valid (V = 0), cause {}", directory.invalid_cause));
    if (std::uint64_t const reserved = entry & (bit_span(9, 1) | bit_span(63, 54)); reserved != 0)
      return path.fault(
          fmt::format("is misconfigured: reserved bits {} are set, cause {}", bit_list(reserved), directory.misconfigured_cause));
    page = bit_field(entry, 53, 10) << 12;
    path.means(fmt::format("next page at {:#x}", page));
  }
  return page;
}

}  // namespace swiommu::riscv
