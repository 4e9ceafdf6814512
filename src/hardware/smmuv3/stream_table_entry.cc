#include "hardware/smmuv3/stream_table_entry.h"

#include <fmt/format.h>

#include <algorithm>

#include "hardware/smmuv3/translation_table.h"

namespace swiommu::smmuv3 {

std::string StreamTableEntry::illegal() const {
  if (translates_stage1() && !features_.stage1())
    return fmt::format("Config = {} asks for stage 1, which IDR0.S1P lacks", config());
  if (translates_stage2() && !features_.stage2())
    return fmt::format("Config = {} asks for stage 2, which IDR0.S2P lacks", config());
  bool const tagged = translates_stage2() || (translates_stage1() && features_.stage2() && ste_.field(95, 94) == 0);
  if (tagged && !features_.wide_vmid() && ste_.field(143, 136) != 0)
    return fmt::format("S2VMID = {:#x} has more than 8 bits, and IDR0.VMID16 = 0", ste_.field(143, 128));
  if (translates_stage1()) {
    if (std::string why = illegal_stage1(); !why.empty()) return why;
  }
  return translates_stage2() ? illegal_stage2() : std::string();
}

std::string StreamTableEntry::illegal_stage1() const {
  if (stage1_stall_disabled() && features_.stall_is_fixed()) return "S1STALLD = 1, and IDR0.STALL_MODEL leaves no choice";
  if (!translates_stage2() && features_.hypervisor() && ste_.flag(94))
    return fmt::format("STRW = {} is reserved", ste_.field(95, 94));
  if (features_.substream_bits() == 0) return {};
  auto const cd_max = static_cast<unsigned>(ste_.field(63, 59));
  if (cd_max > features_.substream_bits())
    return fmt::format("S1CDMax = {} is above IDR1.SSIDSIZE = {}", cd_max, features_.substream_bits());
  if (cd_max != 0 && ste_.field(5, 4) != 0 && !features_.two_level_cd_table())
    return fmt::format("S1Fmt = {} asks for a 2-level CD table, which IDR0.CD2L lacks", ste_.field(5, 4));
  return {};
}

std::string StreamTableEntry::illegal_stage2() const {
  if (!ste_.flag(179)) {
    if (features_.long_descriptors()) return "S2AA64 = 0 selects VMSAv9-128 tables, which are not supported here";
    return features_.vmsa32() ? "S2AA64 = 0 selects VMSAv8-32 tables, which are not supported here"
                              : "S2AA64 = 0 selects VMSAv8-32 tables, which IDR0.TTF lacks";
  }
  if (!features_.vmsa64()) return "S2AA64 = 1 selects VMSAv8-64 tables, which IDR0.TTF lacks";
  if (ste_.flag(180) ? !features_.big_endian_tables() : !features_.little_endian_tables())
    return fmt::format("S2ENDI = {} is not what IDR0.TTENDIAN offers", ste_.field(180, 180));
  if (ste_.flag(184) && !features_.accessed_updates()) return "S2HA = 1, which IDR0.HTTU lacks";
  if (ste_.flag(183) && !features_.dirty_updates()) return "S2HD = 1, which IDR0.HTTU lacks";
  if (ste_.flag(185) ? features_.never_stalls() : features_.always_stalls())
    return fmt::format("S2S = {} is not what IDR0.STALL_MODEL offers", ste_.field(185, 185));
  return {};
}

StreamTableEntry::TableFormat StreamTableEntry::context_format() const {
  switch (ste_.field(5, 4)) {
    case 1: return TableFormat::leaves_4k;
    case 2: return TableFormat::leaves_64k;
    default: return TableFormat::linear;
  }
}

unsigned StreamTableEntry::substream_bits() const {
  return features_.substream_bits() == 0 ? 0 : static_cast<unsigned>(ste_.field(63, 59));
}

StreamTableEntry::DefaultSubstream StreamTableEntry::default_substream() const {
  switch (ste_.field(65, 64)) {
    case 1: return DefaultSubstream::bypass;
    case 2: return DefaultSubstream::zero;
    default: return DefaultSubstream::terminate;
  }
}

bool StreamTableEntry::single_table() const {
  return !translates_stage2() && features_.hypervisor() && ste_.field(95, 94) == 2 && !features_.e2h();
}

std::expected<UserPageTable, std::string> StreamTableEntry::stage2_table() const {
  auto const granule_lg2 = granule_of_tg0(ste_.field(175, 174));
  if (granule_lg2 == 0) return std::unexpected("S2TG = 3 is reserved");
  if (!features_.granule(granule_lg2))
    return std::unexpected(fmt::format("S2TG selects a granule of {} KiB, which IDR5 lacks", 1u << (granule_lg2 - 10)));
  bool const large_granule = granule_lg2 == 16;
  if (!large_granule && features_.wide_addresses() && ste_.flag(195))
    return std::unexpected("S2DS = 1: 52-bit addresses with this granule are not supported here");

  auto const size = static_cast<unsigned>(ste_.field(165, 160));
  unsigned const smallest = std::max(large_granule ? 12u : 16u, 64 - features_.intermediate_bits());
  unsigned const largest = !features_.small_tables() ? 39 : large_granule ? 47 : 48;
  if (size < smallest || size > largest)
    return std::unexpected(fmt::format("S2T0SZ = {} is not in {}..{}", size, smallest, largest));
  unsigned const input_bits = 64 - size;

  // Arm ARM, VTCR_EL2.SL0: counts the other way round, and from another level for 4 KiB than for the others.
  auto const start = static_cast<unsigned>(ste_.field(167, 166));
  bool const smallest_start = start == 3 && granule_lg2 == 12 && features_.small_tables();
  if (start == 3 && !smallest_start) return std::unexpected("S2SL0 = 3 is reserved");
  unsigned const levels = smallest_start ? 1 : granule_lg2 == 12 ? start + 2 : start + 1;
  // The largest start level is for large physical addresses only.
  unsigned const needed_bits = granule_lg2 == 14 ? 42 : 44;
  if (start == 2 && features_.output_bits() < needed_bits)
    return std::unexpected(
        fmt::format("S2SL0 = 2 needs {} output bits, and IDR5.OAS has {}", needed_bits, features_.output_bits()));
  // The root needs at least one index bit, and at most 16 tables may be concatenated.
  unsigned const index_bits = granule_lg2 - 3;
  unsigned const fewest_bits = granule_lg2 + (levels - 1) * index_bits + 1;
  unsigned const most_bits = fewest_bits + index_bits - 1 + 4;
  if (input_bits < fewest_bits || input_bits > most_bits)
    return std::unexpected(fmt::format("S2T0SZ = {} ({} bits) does not go with S2SL0 = {} ({}..{} bits)", size, input_bits, start,
                                       fewest_bits, most_bits));

  unsigned const output_bits = std::min({address_bits(ste_.field(178, 176)), features_.output_bits(), large_granule ? 52u : 48u});
  std::uint64_t const base = ste_.address(243, 196, 4);
  if ((base & ~low_bits(output_bits)) != 0)
    return std::unexpected(fmt::format("S2TTB = {:#x} is beyond the {} bits of S2PS", base, output_bits));

  UserPageTable table;
  table.format.format = FormatName::arm_stage2;
  table.format.levels = levels;
  table.format.granule_lg2 = granule_lg2;
  table.format.input_bits = input_bits;
  table.format.output_bits = output_bits;
  table.format.accessed_updates = ste_.flag(184);
  table.format.dirty_updates = ste_.flag(184) && ste_.flag(183);
  table.format.access_flag_faults = !ste_.flag(181);
  table.root = aligned_root(base, input_bits, granule_lg2, levels, output_bits);
  table.big_endian = ste_.flag(180);
  return table;
}

}  // namespace swiommu::smmuv3
