#include "profile/value_names.h"

#include <fmt/format.h>

#include <charconv>

#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu {

namespace {

constexpr ValueName flags_of_hwpt[] = {{"nest-parent", IOMMU_HWPT_ALLOC_NEST_PARENT},
                                       {"dirty-tracking", IOMMU_HWPT_ALLOC_DIRTY_TRACKING},
                                       {"pasid", IOMMU_HWPT_ALLOC_PASID}};

constexpr ValueName nested_types[] = {{"vtd-s1", IOMMU_HWPT_DATA_VTD_S1},
                                      {"arm-smmuv3", IOMMU_HWPT_DATA_ARM_SMMUV3},
                                      {"amd-guest", IOMMU_HWPT_DATA_AMD_GUEST},
                                      {"riscv", SWIOMMU_HWPT_DATA_RISCV},
                                      {"zpci", SWIOMMU_HWPT_DATA_ZPCI},
                                      {"raw", SWIOMMU_HWPT_DATA_RAW},
                                      {"selftest", 0xdead}};

constexpr ValueName viommu_types[] = {{"arm-smmuv3", IOMMU_VIOMMU_TYPE_ARM_SMMUV3},
                                      {"tegra241-cmdqv", IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV},
                                      {"amd", SWIOMMU_VIOMMU_TYPE_AMD},
                                      {"riscv", SWIOMMU_VIOMMU_TYPE_RISCV},
                                      {"selftest", 0xdeadbeef}};

using Kind = ReservedIovas::Kind;
constexpr ValueName reserved_kinds[] = {{"direct", static_cast<std::uint32_t>(Kind::direct)},
                                        {"direct-relaxable", static_cast<std::uint32_t>(Kind::direct_relaxable)},
                                        {"reserved", static_cast<std::uint32_t>(Kind::reserved)},
                                        {"msi", static_cast<std::uint32_t>(Kind::hardware_msi)},
                                        {"software-msi", static_cast<std::uint32_t>(Kind::software_msi)}};

constexpr std::string_view size_letters = "KMGTPE";

}  // namespace

std::span<ValueName const> hwpt_flag_names() { return flags_of_hwpt; }
std::span<ValueName const> nested_type_names() { return nested_types; }
std::span<ValueName const> viommu_type_names() { return viommu_types; }
std::span<ValueName const> reserved_kind_names() { return reserved_kinds; }

std::string hwpt_flags_text(std::uint32_t flags) {
  if (flags == 0) return "flags 0";
  constexpr ValueName names[] = {{"IOMMU_HWPT_ALLOC_NEST_PARENT", IOMMU_HWPT_ALLOC_NEST_PARENT},
                                 {"IOMMU_HWPT_ALLOC_DIRTY_TRACKING", IOMMU_HWPT_ALLOC_DIRTY_TRACKING},
                                 {"IOMMU_HWPT_FAULT_ID_VALID", IOMMU_HWPT_FAULT_ID_VALID},
                                 {"IOMMU_HWPT_ALLOC_PASID", IOMMU_HWPT_ALLOC_PASID}};
  std::string text;
  for (auto const& [flag_name, flag] : names) {
    if ((flags & flag) == 0) continue;
    text += fmt::format("{}{}", text.empty() ? "" : "|", flag_name);
    flags &= ~flag;
  }
  return flags == 0 ? text : fmt::format("{}{}{:#x}", text, text.empty() ? "flags " : "|", flags);
}

std::optional<std::uint64_t> number_of(std::string_view text) {
  bool const hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  unsigned shift = 0;
  if (!hexadecimal && !text.empty())
    if (auto const letter = size_letters.find(text.back()); letter != std::string_view::npos) {
      shift = 10 * (static_cast<unsigned>(letter) + 1);
      text.remove_suffix(1);
    }
  if (hexadecimal) text.remove_prefix(2);
  std::uint64_t value = 0;
  auto const [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (problem != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (value > (~std::uint64_t{0} >> shift)) return std::nullopt;
  return value << shift;
}

std::string size_text(unsigned lg2) {
  if (lg2 < 10) return std::to_string(1u << lg2);
  return fmt::format("{}{}", 1u << lg2 % 10, size_letters[lg2 / 10 - 1]);
}

}  // namespace swiommu
