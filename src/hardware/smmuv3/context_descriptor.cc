#include "hardware/smmuv3/context_descriptor.h"

#include <fmt/format.h>

#include <algorithm>

#include "hardware/smmuv3/translation_table.h"

namespace swiommu::smmuv3 {

std::string ContextDescriptor::illegal(StreamTableEntry const& ste, bool walks) const {
  if (!cd_.flag(41)) {
    if (features_.long_descriptors()) return "AA64 = 0 selects VMSAv9-128 tables, which are not supported here";
    return features_.vmsa32() ? "AA64 = 0 selects VMSAv8-32 tables, which are not supported here"
                              : "AA64 = 0 selects VMSAv8-32 tables, which IDR0.TTF lacks";
  }
  if (!features_.vmsa64()) return "AA64 = 1 selects VMSAv8-64 tables, which IDR0.TTF lacks";
  if (cd_.flag(44) && ste.stage1_stall_disabled()) return "S = 1, and STE.S1STALLD = 1 forbids stalls";
  if (!cd_.flag(46) && features_.always_aborts()) return "A = 0, and IDR0.TERM_MODEL knows only aborts";
  if (cd_.flag(44) ? features_.never_stalls() : features_.always_stalls())
    return fmt::format("S = {} is not what IDR0.STALL_MODEL offers", cd_.field(44, 44));
  if (walks && (cd_.flag(15) ? !features_.big_endian_tables() : !features_.little_endian_tables()))
    return fmt::format("ENDI = {} is not what IDR0.TTENDIAN offers", cd_.field(15, 15));
  if (cd_.flag(43) && !features_.accessed_updates()) return "HA = 1, which IDR0.HTTU lacks";
  if (cd_.flag(42) && !features_.dirty_updates()) return "HD = 1, which IDR0.HTTU lacks";
  if (!ste.single_table() && !features_.wide_asid() && cd_.field(63, 56) != 0)
    return fmt::format("ASID = {:#x} has more than 8 bits, and IDR0.ASID16 = 0", cd_.field(63, 48));
  return {};
}

std::expected<UserPageTable, std::string> ContextDescriptor::table(bool upper) const {
  char const which = upper ? '1' : '0';
  unsigned const granule_lg2 = upper ? granule_of_tg1(cd_.field(23, 22)) : granule_of_tg0(cd_.field(7, 6));
  if (granule_lg2 == 0) return std::unexpected(fmt::format("TG{} = {} is reserved", which, upper ? 0 : 3));
  if (!features_.granule(granule_lg2))
    return std::unexpected(fmt::format("TG{} selects a granule of {} KiB, which IDR5 lacks", which, 1u << (granule_lg2 - 10)));
  bool const large_granule = granule_lg2 == 16;
  if (!large_granule && features_.wide_addresses() && cd_.flag(186))
    return std::unexpected("DS = 1: 52-bit addresses with this granule are not supported here");

  auto const size = static_cast<unsigned>(upper ? cd_.field(21, 16) : cd_.field(5, 0));
  unsigned const smallest = large_granule && features_.wide_inputs() ? 12 : 16;
  unsigned const largest = !features_.small_tables() ? 39 : large_granule ? 47 : 48;
  if (size < smallest || size > largest)
    return std::unexpected(fmt::format("T{}SZ = {} is not in {}..{}", which, size, smallest, largest));
  unsigned const input_bits = 64 - size;

  unsigned const output_bits = std::min({address_bits(cd_.field(34, 32)), features_.output_bits(), large_granule ? 52u : 48u});
  std::uint64_t const base = upper ? cd_.address(179, 132, 4) : cd_.address(115, 68, 4);
  if ((base & ~low_bits(output_bits)) != 0)
    return std::unexpected(fmt::format("TTB{} = {:#x} is beyond the {} bits of IPS", which, base, output_bits));

  UserPageTable table;
  table.format.format = FormatName::arm_stage1;
  table.format.levels = levels_for(input_bits, granule_lg2);
  table.format.granule_lg2 = granule_lg2;
  table.format.input_bits = input_bits;
  table.format.output_bits = output_bits;
  table.format.upper_half = upper;
  table.format.top_byte_ignored = cd_.flag(upper ? 39 : 38);
  table.format.accessed_updates = cd_.flag(43);
  table.format.dirty_updates = cd_.flag(43) && cd_.flag(42);
  table.format.access_flag_faults = !cd_.flag(35);
  table.format.table_rights = !(features_.hierarchical_disable() && cd_.flag(upper ? 129 : 65));
  table.format.memory_attributes = cd_.field(255, 192);
  table.root = aligned_root(base, input_bits, granule_lg2, table.format.levels, output_bits);
  table.big_endian = cd_.flag(15);
  return table;
}

std::expected<Stage1Tables, std::string> ContextDescriptor::tables(StreamTableEntry const& ste) const {
  // A stream of EL2 without E2H has TTB0 only, and cannot switch it off.
  bool const walks_lower = ste.single_table() || !cd_.flag(14);
  bool const walks_upper = !ste.single_table() && !cd_.flag(30);
  if (std::string why = illegal(ste, walks_lower || walks_upper); !why.empty()) return std::unexpected(std::move(why));
  Stage1Tables tables;
  if (walks_lower) {
    auto lower = table(false);
    if (!lower) return std::unexpected(std::move(lower).error());
    tables.lower = *lower;
  }
  if (walks_upper) {
    auto upper = table(true);
    if (!upper) return std::unexpected(std::move(upper).error());
    tables.upper = *upper;
  }
  return tables;
}

}  // namespace swiommu::smmuv3
