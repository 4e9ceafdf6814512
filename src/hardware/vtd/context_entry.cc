// Root and context entries, and the PASID directory. Reserved bits are refused as section 7.1.3 says; FPD says only whether
// faults are recorded, and DID tags caches: neither says anything here.
#include <fmt/format.h>

#include "hardware/vtd/tables.h"
#include "swiommu/base/bits.h"

namespace swiommu::vtd {

namespace {

constexpr std::uint64_t present = bit(0);
constexpr std::uint64_t address_bits = bit_span(63, 12);

std::string reserved(std::uint64_t bits, std::string_view where = "") {
  return fmt::format("has reserved bits set{}: {}", where, bit_list(bits));
}

}  // namespace

Found context_table(Lookup& lookup, std::uint64_t root_table, std::uint32_t device, bool scalable) {
  StructurePath& path = lookup.path;
  std::uint32_t const bus = device >> 8;
  auto const entry =
      path.read<2>(lookup.memory, scalable ? "scalable-mode root entry" : "root entry", root_table + 16 * std::uint64_t{bus});
  if (!entry) return std::unexpected(entry.error());
  // Scalable mode has two tables a bus, because its context entries are twice as large.
  bool const upper = scalable && (device & 0x80) != 0;
  std::uint64_t const word = (*entry)[upper ? 1 : 0];
  char const* const half = !scalable ? "" : upper ? "U" : "L";
  if ((word & present) == 0) return path.fault(fmt::format("is not present ({}P = 0)", half));
  if (std::uint64_t const bits = word & (bit_span(11, 1) | lookup.capabilities.beyond_host()))
    return path.fault(reserved(bits, upper ? " in the upper word" : ""));
  if (!scalable && (*entry)[1] != 0) return path.fault(reserved((*entry)[1], " in the upper word"));
  path.means(fmt::format("bus {:#x}, {}context table at {:#x}", bus,
                         !scalable ? ""
                         : upper   ? "upper "
                                   : "lower ",
                         word & address_bits));
  return word & address_bits;
}

Configuration legacy_configuration(Lookup& lookup, std::uint64_t context_table, std::uint32_t device,
                                   std::optional<std::uint32_t> pasid) {
  StructurePath& path = lookup.path;
  auto const entry = path.read<2>(lookup.memory, "context entry", context_table + 16 * std::uint64_t{device & 0xff});
  if (!entry) return std::unexpected(entry.error());
  auto const [low, high] = *entry;
  std::uint64_t const type = bit_field(low, 3, 2);
  if ((low & present) == 0) return path.fault("is not present (P = 0)");
  bool const pass_through = type == 2;
  std::uint64_t const no_address = pass_through ? 0 : lookup.capabilities.beyond_host();  // the pointer is ignored then
  if (std::uint64_t const bits = low & (bit_span(11, 4) | no_address)) return path.fault(reserved(bits));
  if (std::uint64_t const bits = high & (bit(7) | bit_span(63, 24))) return path.fault(reserved(bits, " in word 1"));
  if (type == 3) return path.fault("has a reserved translation type (TT = 3)");
  if (type == 1 && !lookup.capabilities.has(Extended::device_tlb))
    return path.fault("allows translated requests (TT = 1), which this unit does not have (ECAP.DT = 0)");
  if (pass_through && !lookup.capabilities.has(Extended::pass_through))
    return path.fault("asks for pass-through (TT = 2), which this unit does not have (ECAP.PT = 0)");
  std::uint64_t const width = bit_field(high, 2, 0);
  unsigned const levels = lookup.capabilities.second_stage_levels(width);
  if (levels == 0) return path.fault(fmt::format("has an address width that this unit does not have (AW = {})", width));
  if (pasid) return path.fault("is one of legacy mode: requests with a PASID are blocked");
  std::uint64_t const domain = bit_field(high, 23, 8);
  if (pass_through) {
    path.means(fmt::format("pass-through (TT = 2), domain {}", domain));
    return bypass(path);
  }
  std::uint64_t const root = low & address_bits;
  path.means(fmt::format("second-stage table at {:#x}, {} levels, domain {}", root, levels, domain));
  return DeviceConfiguration{.user = second_stage_table(lookup, root, levels),
                             .aperture = lookup.capabilities.second_stage_inputs(),
                             .steps = path.take()};
}

Found pasid_table_entry(Lookup& lookup, std::uint64_t context_table, std::uint32_t device, std::optional<std::uint32_t> pasid) {
  StructurePath& path = lookup.path;
  Capabilities const& capabilities = lookup.capabilities;
  auto const context =
      path.read<4>(lookup.memory, "scalable-mode context entry", context_table + 32 * std::uint64_t{device & 0x7f});
  if (!context) return std::unexpected(context.error());
  auto const [low, high, third, fourth] = *context;
  constexpr std::uint64_t device_tlb = bit(2), pasid_enable = bit(3), page_request = bit(4);
  if ((low & present) == 0) return path.fault("is not present (P = 0)");
  // Bits of features that the unit does not have are reserved.
  std::uint64_t const missing = (capabilities.has(Extended::device_tlb) ? 0 : device_tlb) |
                                (capabilities.has(Extended::pasid) ? 0 : pasid_enable) |
                                (capabilities.has(Extended::page_request) ? 0 : page_request);
  if (std::uint64_t const bits = low & (bit_span(8, 5) | missing | capabilities.beyond_host())) return path.fault(reserved(bits));
  if (std::uint64_t const bits = high & bit_span(63, 21)) return path.fault(reserved(bits, " in word 1"));
  if (third != 0) return path.fault(reserved(third, " in word 2"));
  if (fourth != 0) return path.fault(reserved(fourth, " in word 3"));

  // Without ECAP.RPS requests without PASID use PASID 0, whatever the field says (section 3.4.3).
  std::uint64_t const rid_pasid = capabilities.has(Extended::rid_pasid) ? bit_field(high, 19, 0) : 0;
  std::uint64_t const number = pasid ? *pasid : rid_pasid;
  std::uint64_t const directory_entries = bit(static_cast<unsigned>(bit_field(low, 11, 9)) + 7);
  if (pasid && (low & pasid_enable) == 0) return path.fault("blocks requests with a PASID (PASIDE = 0)");
  if (number >> 6 >= directory_entries)
    return path.fault(fmt::format("has a PASID directory of {} entries, too small for {} {:#x}", directory_entries,
                                  pasid ? "PASID" : "RID_PASID", number));
  std::uint64_t const directory = low & address_bits;
  path.means(fmt::format("PASID directory at {:#x}, {} entries; {} {:#x}", directory, directory_entries,
                         pasid ? "PASID" : "without PASID: RID_PASID", number));

  auto const named = path.read<1>(lookup.memory, "PASID directory entry", directory + 8 * (number >> 6));
  if (!named) return std::unexpected(named.error());
  std::uint64_t const word = named->front();
  if ((word & present) == 0) return path.fault("is not present (P = 0)");
  if (std::uint64_t const bits = word & (bit_span(11, 2) | capabilities.beyond_host())) return path.fault(reserved(bits));
  path.means(fmt::format("PASID table at {:#x}", word & address_bits));
  return (word & address_bits) + 64 * (number & 0x3f);
}

}  // namespace swiommu::vtd
