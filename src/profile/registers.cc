#include <fmt/format.h>

#include "swiommu/profile/profile.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu {

namespace {

constexpr RegisterName vtd[] = {{"cap"}, {"ecap"}};
constexpr RegisterName smmuv3[] = {{"idr0", 32}, {"idr1", 32}, {"idr2", 32}, {"idr3", 32},
                                   {"idr4", 32}, {"idr5", 32}, {"iidr", 32}, {"aidr", 32}};
constexpr RegisterName amd[] = {{"efr"}, {"efr2"}};
constexpr RegisterName riscv[] = {{"capabilities"}};
constexpr RegisterName zpci[] = {{"sdma"}, {"edma"}};  // first and last iova of functions, as CLP tells them
constexpr RegisterName selftest[] = {{"test_reg", 32}};

std::optional<std::size_t> index_of(Hardware hardware, std::string_view name) {
  auto const names = register_names(hardware);
  for (std::size_t n = 0; n < names.size(); n++)
    if (names[n].name == name) return n;
  return std::nullopt;
}

template <class Structure>
HardwareInfo information_of(std::uint32_t type, Structure const& structure) {
  auto const bytes = std::as_bytes(std::span(&structure, 1));
  return {type, {bytes.begin(), bytes.end()}};
}

}  // namespace

std::span<RegisterName const> register_names(Hardware hardware) {
  switch (hardware) {
    case Hardware::intel_vtd: return vtd;
    case Hardware::arm_smmuv3: return smmuv3;
    case Hardware::amd: return amd;
    case Hardware::riscv: return riscv;
    case Hardware::s390_zpci: return zpci;
    case Hardware::kernel_selftest: return selftest;
  }
  return {};
}

std::uint64_t Profile::register_value(std::string_view register_name) const {
  auto const n = index_of(hardware, register_name);
  return n && *n < registers.size() ? registers[*n] : 0;
}

Result<void> Profile::set_register(std::string_view register_name, std::uint64_t value) {
  return guarded([&]() -> Result<void> {
    auto const n = index_of(hardware, register_name);
    if (!n) return fail(EINVAL, fmt::format("{} has no register {}", swiommu::name(hardware), register_name));
    unsigned const bits = register_names(hardware)[*n].bits;
    if ((value & ~low_bits(bits)) != 0) return fail(EINVAL, fmt::format("{} has {} bits", register_name, bits));
    if (registers.size() <= *n) registers.resize(register_names(hardware).size());
    registers[*n] = value;
    return {};
  });
}

Result<HardwareInfo> Profile::information() const {
  return guarded([&]() -> Result<HardwareInfo> {
    auto const word = [&](std::string_view register_name) { return static_cast<std::uint32_t>(register_value(register_name)); };
    switch (hardware) {
      case Hardware::intel_vtd:
        return information_of(IOMMU_HW_INFO_TYPE_INTEL_VTD,
                              iommu_hw_info_vtd{.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17,  // Linux says so of all
                                                .__reserved = 0,
                                                .cap_reg = register_value("cap"),
                                                .ecap_reg = register_value("ecap")});
      case Hardware::arm_smmuv3:
        return information_of(
            IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
            iommu_hw_info_arm_smmuv3{.flags = 0,
                                     .__reserved = 0,
                                     .idr = {word("idr0"), word("idr1"), word("idr2"), word("idr3"), word("idr4"), word("idr5")},
                                     .iidr = word("iidr"),
                                     .aidr = word("aidr")});
      case Hardware::amd:
        return information_of(IOMMU_HW_INFO_TYPE_AMD,
                              iommu_hw_info_amd{.efr = register_value("efr"), .efr2 = register_value("efr2")});
      case Hardware::kernel_selftest: {
        struct {
          std::uint32_t flags, test_reg;
        } const model{0, word("test_reg")};
        return information_of(0xfeedbeef, model);
      }
      case Hardware::riscv:
      case Hardware::s390_zpci: break;  // their drivers tell nothing
    }
    return HardwareInfo{};
  });
}

}  // namespace swiommu
