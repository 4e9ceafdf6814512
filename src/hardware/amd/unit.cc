#include <fmt/format.h>

#include "hardware/amd/device_table_entry.h"
#include "hardware/amd/features.h"
#include "hardware/amd/gcr3_table.h"
#include "hardware/structure_path.h"
#include "swiommu/base/bits.h"
#include "swiommu/hardware/amd.h"

namespace swiommu::amd {

namespace {

struct Control {
  std::uint64_t word;

  [[nodiscard]] bool enabled() const { return (word & bit(0)) != 0; }                                     // IommuEn
  [[nodiscard]] bool guest_translation() const { return (word & bit(16)) != 0; }                          // GTEn
  [[nodiscard]] unsigned segments_lg2() const { return static_cast<unsigned>(bit_field(word, 36, 34)); }  // DevTblSegEn
  // GCR3TRPMode: GCR3 tables lie at guest addresses, not at system physical ones
  [[nodiscard]] bool gcr3_at_guest_address() const { return (word & bit(58)) != 0; }

  // What is assumed of a register that is not known.
  static constexpr std::uint64_t usual = bit(0) | bit(16) | bit(58);
};

// What is wrong with an entry that has V = TV = 1: reserved bits and encodings (section 2.5.2, ILLEGAL_DEV_TABLE_ENTRY).
// Empty if nothing is.
std::string illegal(DeviceTableEntry const& entry, Features const& features, Control control) {
  if (entry.reserved() != 0) return "has reserved bits set: " + bit_list(entry.reserved());
  if (entry.mode() == 7) return "has a reserved number of levels (Mode = 7)";
  if (entry.mode() > features.host_levels())
    return fmt::format("asks for a host table of {} levels, more than this IOMMU has (HATS: {})", entry.mode(),
                       features.host_levels());
  if (entry.mode() != 0)
    if (std::uint64_t const bits = entry.host_root() & features.beyond_host()) return "has reserved bits set: " + bit_list(bits);
  if (entry.accessed_dirty() == 2) return "has a reserved encoding of accessed and dirty flags (HAD = 2)";
  if (entry.accessed_dirty() != 0 && !features.has(Feature::host_accessed))
    return "asks for accessed flags in host tables (HAD), which this IOMMU does not have (HASup = 0)";
  if (entry.accessed_dirty() == 3 && !features.has(Feature::host_dirty))
    return "asks for dirty flags in host tables (HAD = 3), which this IOMMU does not have (HDSup = 0)";
  if (entry.guest_valid() && features.has(Feature::guest_translation) && !control.guest_translation())
    return "asks for guest translation (GV = 1), which is not enabled (GTEn = 0)";
  return illegal_guest_translation(entry, features);
}

UserPageTable host_table(DeviceTableEntry const& entry, unsigned output_bits) {
  return {.format = {.format = FormatName::amd_v1,
                     .levels = entry.mode(),
                     .output_bits = output_bits,
                     .accessed_updates = entry.accessed_dirty() != 0,
                     .dirty_updates = entry.accessed_dirty() == 3},
          .root = entry.host_root()};
}

std::string describe(DeviceTableEntry const& entry, bool guest) {
  std::string text;
  if (guest) text = fmt::format("GCR3 table at {:#x}, {} levels; ", entry.gcr3_root(), entry.gcr3_levels());
  if (entry.mode() != 0)
    text += fmt::format("host table at {:#x}, {} levels", entry.host_root(), entry.mode());
  else
    text += "no host translation (Mode = 0)";
  return fmt::format("{}, IR = {:d}, IW = {:d}, domain {}", text, entry.read(), entry.write(), entry.domain());
}

DeviceConfiguration bypass(StructurePath& path, Access rights = Access::both()) {
  return {.kind = DeviceConfiguration::Kind::bypass, .rights = rights, .steps = path.take()};
}

}  // namespace

Result<Unit> Unit::create(Registers const& registers, MemoryView const& memory, ParentOpener open_parent) {
  return guarded([&]() -> Result<Unit> {
    unsigned const width = registers.host_address_width;
    if (width != 0 && (width < 32 || width > 52))
      return fail(EINVAL, fmt::format("a host address width of {} bits (AMD-Vi has 32 to 52)", width));
    return Unit(registers, memory, std::move(open_parent));
  });
}

std::expected<DeviceConfiguration, ConfigurationFault> Unit::find(std::uint32_t device,
                                                                  std::optional<std::uint32_t> pasid) const {
  return guarded_configuration([&]() -> Configuration {
    StructurePath path;
    Features const features(registers_);
    Control const control{registers_.control.value_or(Control::usual)};
    if (registers_.control)
      path.register_value("control register", control.word,
                          control.enabled() ? "the IOMMU is enabled (IommuEn = 1)" : "the IOMMU is not enabled (IommuEn = 0)");
    if (registers_.status) path.register_value("status register", *registers_.status, "");
    if (!control.enabled()) return bypass(path);

    // Section 3.4.1
    std::uint64_t const base = registers_.device_table_base & bit_span(51, 12);
    std::uint64_t const bytes = (bit_field(registers_.device_table_base, 8, 0) + 1) << 12;
    path.register_value("device table base", registers_.device_table_base,
                        fmt::format("device table at {:#x}, {} entries", base, bytes / sizeof(DeviceTableEntry)));
    // Segments but the first have tables of their own, whose registers are not among ours.
    unsigned const segments_lg2 = control.segments_lg2() > 3 ? 3 : control.segments_lg2();
    if (device > 0xffff) return path.fault(fmt::format("has nothing for device {:#x}: device ids have 16 bits", device));
    if (device >> (16 - segments_lg2) != 0)
      return path.fault(fmt::format("is not the table of device {:#x}: that is in segment {} (DevTblSegEn = {})", device,
                                    device >> (16 - segments_lg2), control.segments_lg2()));
    if (device * sizeof(DeviceTableEntry) >= bytes)
      return path.fault(
          fmt::format("has a table of {} entries, too small for device {:#x}", bytes / sizeof(DeviceTableEntry), device));

    auto const words = path.read<4>(*memory_, "device table entry", base + device * sizeof(DeviceTableEntry));
    if (!words) return std::unexpected(words.error());
    DeviceTableEntry const entry{*words};
    if (!entry.valid()) {
      path.means("not valid (V = 0): addresses are forwarded without translation");
      return bypass(path);
    }
    if (!entry.translation_valid()) return path.fault("has no valid translation information (TV = 0): DMA is blocked");
    if (auto wrong = illegal(entry, features, control); !wrong.empty()) return path.fault(std::move(wrong));
    if (pasid && !entry.guest_valid()) return path.fault("has no guest translation (GV = 0): requests with a PASID are blocked");

    DeviceConfiguration configuration;
    configuration.rights = {.read = entry.read(), .write = entry.write()};
    bool const guest = entry.guest_valid() && (pasid || entry.guest_io_valid());
    path.means(describe(entry, guest));
    bool const host = entry.mode() != 0;
    UserPageTable const host_page_table = host_table(entry, registers_.host_address_width);
    if (!guest) {
      if (!host) return bypass(path, configuration.rights);
      configuration.user = host_page_table;
      configuration.steps = path.take();
      return configuration;
    }

    // All levels of the GCR3 table count their addresses as its root does.
    MemoryView const* directory_memory = memory_;
    std::unique_ptr<MemoryView> behind_parent;
    if (host) {
      configuration.parent = host_page_table;
      if (control.gcr3_at_guest_address()) {
        if (!open_parent_)
          return path.fault("has its GCR3 table behind the host table, and nothing was given to read through that");
        behind_parent = open_parent_(host_page_table, *memory_);
        if (!behind_parent) return path.fault("has its GCR3 table behind the host table, which cannot be opened");
        directory_memory = behind_parent.get();
      }
    }
    std::uint32_t const number = pasid.value_or(0);
    // Behind a host table the guest's outputs are guest addresses, which the host table limits.
    auto const table = find_guest_table(path, *directory_memory, entry, number, host ? 0 : registers_.host_address_width);
    if (!table) return std::unexpected(table.error());
    configuration.user = *table;
    configuration.steps = path.take();
    return configuration;
  });
}

}  // namespace swiommu::amd
