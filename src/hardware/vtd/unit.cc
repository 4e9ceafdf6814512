#include <fmt/format.h>

#include "hardware/vtd/tables.h"
#include "swiommu/base/bits.h"
#include "swiommu/hardware/vtd.h"

namespace swiommu::vtd {

Result<Unit> Unit::create(Registers const& registers, MemoryView const& memory) {
  return guarded([&]() -> Result<Unit> {
    unsigned const width = registers.host_address_width;
    if (width != 0 && (width < 32 || width > 52))
      return fail(EINVAL, fmt::format("a host address width of {} bits (VT-d has 32 to 52)", width));
    return Unit(registers, memory);
  });
}

std::expected<DeviceConfiguration, ConfigurationFault> Unit::find(std::uint32_t device,
                                                                  std::optional<std::uint32_t> pasid) const {
  return guarded_configuration([&]() -> Configuration {
    StructurePath path;
    Lookup lookup{Capabilities(registers_), registers_.host_address_width, *memory_, path};
    if (registers_.global_status) {
      bool const enabled = (*registers_.global_status & bit(31)) != 0;
      path.register_value("GSTS", *registers_.global_status,
                          enabled ? "translation is enabled (TES = 1)" : "translation is not enabled (TES = 0)");
      if (!enabled) return bypass(path);
    }

    // Section 11.4.5
    std::uint64_t const rtaddr = registers_.root_table_address;
    std::uint64_t const root_table = rtaddr & bit_span(63, 12);
    std::uint64_t const mode = bit_field(rtaddr, 11, 10);
    bool const scalable = mode == 1;
    path.register_value("RTADDR", rtaddr,
                        fmt::format("{} mode, root table at {:#x}", scalable ? "scalable" : "legacy", root_table));
    if (mode == 2) return path.fault("selects a reserved translation table mode (TTM = 2)");
    if (mode == 3) return path.fault("blocks all DMA: abort-DMA mode (TTM = 3)");
    if (scalable && !lookup.capabilities.has(Extended::scalable_mode))
      return path.fault("selects scalable mode (TTM = 1), which this unit does not have (ECAP.SMTS = 0)");
    if (device > 0xffff) return path.fault(fmt::format("has nothing for device {:#x}: source-ids have 16 bits", device));

    auto const contexts = context_table(lookup, root_table, device, scalable);
    if (!contexts) return std::unexpected(contexts.error());
    if (!scalable) return legacy_configuration(lookup, *contexts, device, pasid);
    auto const entry = pasid_table_entry(lookup, *contexts, device, pasid);
    if (!entry) return std::unexpected(entry.error());
    return scalable_configuration(lookup, *entry);
  });
}

DeviceConfiguration bypass(StructurePath& path) { return {.kind = DeviceConfiguration::Kind::bypass, .steps = path.take()}; }

UserPageTable second_stage_table(Lookup const& lookup, std::uint64_t root, unsigned levels) {
  return {.format = {.format = FormatName::vtd_second_stage,
                     .levels = levels,
                     .output_bits = lookup.host_address_width,
                     .snoop_control = lookup.capabilities.has(Extended::snoop_control)},
          .root = root};
}

}  // namespace swiommu::vtd
