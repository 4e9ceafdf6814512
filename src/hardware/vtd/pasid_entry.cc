// The PASID table entry (section 9.6). Reserved bits are refused as section 7.1.3 says, those of a stage only if the entry
// uses that stage. Not looked at: what concerns caches, snooping and memory types (PWSNP, PGSNP, CD, EMTE, PAT, ...), and
// what concerns supervisor or execute requests, which are not made here (SSEE, ERE, WPE, NXE, SMEP).
#include <array>

#include <fmt/format.h>

#include "hardware/vtd/tables.h"
#include "swiommu/base/bits.h"

namespace swiommu::vtd {

namespace {

using Entry = std::array<std::uint64_t, 8>;
using Table = std::expected<UserPageTable, ConfigurationFault>;

constexpr std::uint64_t address_bits = bit_span(63, 12);

std::string reserved(std::uint64_t bits, unsigned word) {
  return fmt::format("has reserved bits set in word {}: {}", word, bit_list(bits));
}

// SSPTPTR, AW and SSADE
Table second_stage(Lookup& lookup, Entry const& entry) {
  constexpr std::uint64_t accessed_dirty = bit(9);
  if (std::uint64_t const bits = entry[0] & lookup.capabilities.beyond_host()) return lookup.path.fault(reserved(bits, 0));
  if ((entry[0] & accessed_dirty) != 0 && !lookup.capabilities.has(Extended::second_stage_accessed_dirty))
    return lookup.path.fault(
        "asks for accessed and dirty flags in second-stage tables (SSADE = 1), which this unit does not "
        "have (ECAP.SSADS = 0)");
  std::uint64_t const width = bit_field(entry[0], 4, 2);
  unsigned const levels = lookup.capabilities.second_stage_levels(width);
  if (levels == 0) return lookup.path.fault(fmt::format("has an address width that this unit does not have (AW = {})", width));
  UserPageTable table = second_stage_table(lookup, entry[0] & address_bits, levels);
  table.format.accessed_updates = table.format.dirty_updates = (entry[0] & accessed_dirty) != 0;
  return table;
}

// FSPTPTR, FSPM, SRE and EAFE. The manual calls the fields FLPTPTR and FLPM in its older revisions.
Table first_stage(Lookup& lookup, Entry const& entry, bool nested) {
  constexpr std::uint64_t supervisor_request = bit(0), extended_accessed_flag = bit(7);
  // In nested translation the pointer is a guest address, which the second stage limits.
  std::uint64_t const beyond = nested ? bit_span(63, 52) : lookup.capabilities.beyond_host();
  if (std::uint64_t const bits = entry[2] & (bit_span(11, 8) | beyond)) return lookup.path.fault(reserved(bits, 2));
  if ((entry[2] & supervisor_request) != 0 && !lookup.capabilities.has(Extended::supervisor_request))
    return lookup.path.fault("allows supervisor requests (SRE = 1), which this unit does not have (ECAP.SRS = 0)");
  if ((entry[2] & extended_accessed_flag) != 0 && !lookup.capabilities.has(Extended::extended_accessed_flag))
    return lookup.path.fault("asks for extended accessed flags (EAFE = 1), which this unit does not have (ECAP.EAFS = 0)");
  std::uint64_t const mode = bit_field(entry[2], 3, 2);
  if (mode > 1) return lookup.path.fault(fmt::format("has a reserved first-stage paging mode (FSPM = {})", mode));
  if (mode == 1 && !lookup.capabilities.first_stage_5_levels())
    return lookup.path.fault("asks for 5-level first-stage paging (FSPM = 1), which this unit does not have (CAP.FS5LP = 0)");
  // Accessed and dirty flags are always set in first-stage tables (section 3.6.2).
  return UserPageTable{.format = {.format = FormatName::x86_64,
                                  .levels = mode == 1 ? 5u : 4u,
                                  .output_bits = nested ? 0 : lookup.host_address_width,
                                  .accessed_updates = true,
                                  .dirty_updates = true},
                       .root = entry[2] & address_bits};
}

std::string describe(char const* stage, UserPageTable const& table) {
  return fmt::format("{}-stage table at {:#x}, {} levels", stage, table.root, table.format.levels);
}

}  // namespace

Configuration scalable_configuration(Lookup& lookup, std::uint64_t address) {
  StructurePath& path = lookup.path;
  auto const read = path.read<8>(lookup.memory, "PASID table entry", address);
  if (!read) return std::unexpected(read.error());
  Entry const& entry = *read;
  if ((entry[0] & bit(0)) == 0) return path.fault("is not present (P = 0)");
  if (std::uint64_t const bits = entry[0] & bit_span(11, 10)) return path.fault(reserved(bits, 0));
  if (std::uint64_t const bits = entry[1] & bit_span(22, 16)) return path.fault(reserved(bits, 1));
  for (unsigned word = 3; word < entry.size(); word++)
    if (entry[word] != 0) return path.fault(reserved(entry[word], word));

  constexpr unsigned first = 1, second = 2, nested = 3, pass_through = 4;
  std::uint64_t const type = bit_field(entry[0], 8, 6);
  if (type < first || type > pass_through) return path.fault(fmt::format("has a reserved translation type (PGTT = {})", type));
  struct {
    Extended feature;
    char const *what, *bit;
  } constexpr needs[] = {{Extended::first_stage, "first-stage translation", "FSTS"},
                         {Extended::second_stage, "second-stage translation", "SSTS"},
                         {Extended::nested, "nested translation", "NEST"},
                         {Extended::pass_through, "pass-through", "PT"}};
  auto const& need = needs[type - 1];
  if (!lookup.capabilities.has(need.feature))
    return path.fault(
        fmt::format("asks for {} (PGTT = {}), which this unit does not have (ECAP.{} = 0)", need.what, type, need.bit));

  std::uint64_t const domain = bit_field(entry[1], 15, 0);
  if (type == pass_through) {
    path.means(fmt::format("pass-through (PGTT = 4), domain {}", domain));
    return bypass(path);
  }
  DeviceConfiguration configuration;
  std::string meaning;
  if (type != second) {
    auto table = first_stage(lookup, entry, type == nested);
    if (!table) return std::unexpected(std::move(table).error());
    configuration.user = *table;
    meaning = describe("first", *table);
  }
  if (type != first) {
    auto table = second_stage(lookup, entry);
    if (!table) return std::unexpected(std::move(table).error());
    (type == nested ? configuration.parent : configuration.user) = *table;
    meaning += (meaning.empty() ? "" : ", over the ") + describe("second", *table);
  }
  if (type == second) configuration.aperture = lookup.capabilities.second_stage_inputs();
  path.means(fmt::format("{}, domain {}", meaning, domain));
  configuration.steps = path.take();
  return configuration;
}

}  // namespace swiommu::vtd
