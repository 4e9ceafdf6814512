#include <fmt/format.h>

#include "hardware/amd/device_table_entry.h"
#include "hardware/amd/gcr3_table.h"
#include "swiommu/hardware/amd.h"

namespace swiommu::amd {

std::expected<DeviceConfiguration, ConfigurationFault> GuestTranslation::find(std::uint32_t,
                                                                              std::optional<std::uint32_t> pasid) const {
  return guarded_configuration([&]() -> Configuration {
    StructurePath path;
    DeviceTableEntry const entry{entry_};
    bool const translates = entry.valid() && entry.guest_valid();
    path.register_value("guest device table entry", entry_[0],
                        translates ? fmt::format("GCR3 table at {:#x}, {} levels", entry.gcr3_root(), entry.gcr3_levels())
                                   : "no guest translation (V = 0 or GV = 0)");
    if (translates)
      if (auto wrong = illegal_guest_translation(entry, Features(registers_)); !wrong.empty())
        return path.fault(std::move(wrong));
    DeviceConfiguration configuration;
    if (pasid && !translates) return path.fault("has no guest translation (GV = 0): requests with a PASID are blocked");
    if (!translates || (!pasid && !entry.guest_io_valid())) {
      configuration.kind = DeviceConfiguration::Kind::bypass;
    } else {
      auto const table = find_guest_table(path, *guest_, entry, pasid.value_or(0), 0);
      if (!table) return std::unexpected(table.error());
      configuration.user = *table;
    }
    configuration.steps = path.take();
    return configuration;
  });
}

}  // namespace swiommu::amd
