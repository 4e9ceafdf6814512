#include "hardware/smmuv3/stream_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace swiommu::smmuv3 {

namespace {

constexpr unsigned structure_lg2 = 6;   // STE and CD
constexpr unsigned descriptor_lg2 = 3;  // L1STD and L1CD

// Base-2 logarithm of the size of a first-level table: ids of `id_bits` bits, of which the second level takes `split`.
constexpr unsigned first_level_lg2(unsigned id_bits, unsigned split) {
  return std::max(structure_lg2, (id_bits > split ? id_bits - split : 0) + descriptor_lg2);
}

std::expected<Structure, ConfigurationFault> read(MemoryView const& memory, std::string_view what, std::uint64_t array,
                                                  std::uint64_t index, std::string_view event, StructurePath& path) {
  auto const words = path.read<8>(memory, what, array + (index << structure_lg2), {.event = event});
  if (!words) return std::unexpected(words.error());
  return Structure{*words};
}

// The second-level array of STEs that the L1STD at `address` names; `index` must be in it (5.1).
std::expected<std::uint64_t, ConfigurationFault> second_level(std::uint64_t address, std::uint64_t index, unsigned split,
                                                              MemoryView const& memory, StructurePath& path) {
  auto const descriptor = path.read<1>(memory, "L1STD", address, {.event = "F_STE_FETCH"});
  if (!descriptor) return std::unexpected(descriptor.error());
  std::uint64_t const word = descriptor->front();
  auto const span = static_cast<unsigned>(bit_field(word, 4, 0));
  if (span == 0 || span > 11 || span - 1 > split)
    return path.fault(fmt::format("leads to no STEs (Span = {}), C_BAD_STREAMID", span));
  if (index >= bit(span - 1))
    return path.fault(fmt::format("leads to {} STEs, and number {} is asked for, C_BAD_STREAMID", bit(span - 1), index));
  std::uint64_t const array = align_down(word & bit_span(55, 6), span - 1 + structure_lg2);
  path.means(fmt::format("{} STEs at {:#x}", bit(span - 1), array));
  return array;
}

}  // namespace

std::expected<Structure, ConfigurationFault> find_stream_table_entry(Registers const& registers, Features const& features,
                                                                     MemoryView const& memory, std::uint32_t stream,
                                                                     StructurePath& path) {
  std::uint64_t const configuration = registers.strtab_base_cfg;
  auto const table_bits = static_cast<unsigned>(bit_field(configuration, 5, 0));
  bool const two_levels = features.two_level_stream_table() && bit_field(configuration, 17, 16) == 1;
  auto const split_field = static_cast<unsigned>(bit_field(configuration, 10, 6));
  unsigned const split = split_field == 8 || split_field == 10 ? split_field : 6;  // others are reserved and behave as 6

  // The SMMU aligns the table to the size that the register gives, however few StreamIDs there are.
  unsigned const size_lg2 = two_levels ? first_level_lg2(table_bits, split) : table_bits + structure_lg2;
  std::uint64_t const base = align_down(registers.strtab_base & bit_span(55, 6), std::min(size_lg2, 63u));
  path.register_value("STRTAB_BASE", registers.strtab_base, fmt::format("stream table at {:#x}", base));
  path.register_value("STRTAB_BASE_CFG", configuration,
                      two_levels ? fmt::format("two levels, split {}, StreamIDs of {} bits", split, table_bits)
                                 : fmt::format("linear, StreamIDs of {} bits", table_bits));
  unsigned const stream_bits = std::min(table_bits, features.stream_bits());
  if (shift_right(stream, stream_bits) != 0)
    return path.fault(fmt::format("has no STE for StreamID {:#x}: they have {} bits, C_BAD_STREAMID", stream, stream_bits));

  if (!two_levels) return read(memory, "STE", base, stream, "F_STE_FETCH", path);
  std::uint64_t const index = stream & low_bits(split);
  auto const array = second_level(base + ((std::uint64_t{stream} >> split) << descriptor_lg2), index, split, memory, path);
  if (!array) return std::unexpected(array.error());
  return read(memory, "STE", *array, index, "F_STE_FETCH", path);
}

std::expected<Structure, ConfigurationFault> find_context_descriptor(StreamTableEntry const& ste, MemoryView const& tables,
                                                                     std::uint32_t substream, StructurePath& path) {
  unsigned const bits = ste.substream_bits();
  std::uint64_t const pointer = ste.context_pointer();
  // Over stage 2, the fetch may also fail inside that stage.
  std::string_view const event = ste.translates_stage2() ? "F_CD_FETCH or a stage 2 fault with CLASS = CD" : "F_CD_FETCH";
  if (bits == 0) return read(tables, "CD", pointer, 0, event, path);
  if (ste.context_format() == StreamTableEntry::TableFormat::linear)
    return read(tables, "CD", align_down(pointer, bits + structure_lg2), substream, event, path);

  unsigned const split = ste.context_format() == StreamTableEntry::TableFormat::leaves_4k ? 6 : 10;
  std::uint64_t const base = align_down(pointer, first_level_lg2(bits, split));
  auto const descriptor =
      path.read<1>(tables, "L1CD", base + ((std::uint64_t{substream} >> split) << descriptor_lg2), {.event = event});
  if (!descriptor) return std::unexpected(descriptor.error());
  if ((descriptor->front() & 1) == 0) return path.fault("is not valid (V = 0), C_BAD_SUBSTREAMID");
  std::uint64_t const leaf = align_down(descriptor->front() & bit_span(55, 12), split + structure_lg2);
  path.means(fmt::format("{} CDs at {:#x}", bit(split), leaf));
  return read(tables, "CD", leaf, substream & low_bits(split), event, path);
}

}  // namespace swiommu::smmuv3
