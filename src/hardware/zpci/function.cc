// The anchor (IOTA): origin in bits 63:12, translation enabled in bit 11, protection in bit 9, storage key in bits 8:5,
// designation type in bits 4:2, frame size in bits 1:0 (counted from the right).
#include <fmt/format.h>

#include <array>

#include "hardware/structure_path.h"
#include "swiommu/hardware/zpci.h"

namespace swiommu::zpci {

namespace {

constexpr std::array<char const*, 8> designations = {
    "segment table",
    "region-third table",
    "region-second table",
    "region-first table",
    "page frame absolute address",
    "I/O page frame absolute address",
    "undefined",
    "I/O page table",
};
constexpr std::uint64_t enabled = 0x800, protected_all = 0x200;
constexpr unsigned table_lg2 = 14;  // a region or segment table is 16 KiB and starts at a multiple of that

Configuration find_table(std::uint64_t iota, std::uint64_t dma_start, Range aperture, StructurePath& path) {
  auto const type = static_cast<unsigned>(bit_field(iota, 4, 2));
  std::uint64_t const origin = iota & ~low_bits(12);
  DeviceConfiguration configuration;
  configuration.aperture = aperture;
  if ((iota & enabled) == 0) {
    path.register_value("IOTA", iota, "translation is off");
    configuration.kind = DeviceConfiguration::Kind::bypass;
    configuration.bypass_base = dma_start;
    configuration.steps = path.take();
    return configuration;
  }
  path.register_value("IOTA", iota, fmt::format("{} at {:#x}", designations[type], origin));
  if (type > 3)
    return path.fault(fmt::format("has designation type {} ({}), of which nothing is known", type, designations[type]));
  if (!is_aligned(origin, table_lg2)) return path.fault("has its table at no multiple of 16 KiB");
  if ((iota & protected_all) != 0) configuration.rights = Access::reading();
  configuration.user =
      UserPageTable{.format = {.format = FormatName::s390_zpci, .levels = type + 2}, .root = origin, .big_endian = true};
  configuration.steps = path.take();
  return configuration;
}

}  // namespace

Result<Function> Function::create(Registers const& registers, MemoryView const&) {
  return guarded([&]() -> Result<Function> {
    Range const aperture{registers.pba.value_or(0) & ~low_bits(12), registers.pal.value_or(~std::uint64_t{0}) | low_bits(12)};
    if (aperture.start > aperture.last)
      return fail(EINVAL, fmt::format("PBA {:#x} is above PAL {:#x}", aperture.start, aperture.last));
    return Function(registers, aperture);
  });
}

std::expected<DeviceConfiguration, ConfigurationFault> Function::find(std::uint32_t, std::optional<std::uint32_t> pasid) const {
  return guarded_configuration([&]() -> Configuration {
    if (!registers_.iota)
      return std::unexpected(ConfigurationFault{.about = "no I/O translation anchor is registered: DMA is blocked"});
    if (pasid) return std::unexpected(ConfigurationFault{.about = fmt::format("PASID {:#x}: zPCI functions have none", *pasid)});
    StructurePath path;
    return find_table(*registers_.iota, registers_.dma_start, aperture_, path);
  });
}

}  // namespace swiommu::zpci
