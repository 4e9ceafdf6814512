#include "tools/iommu_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

#include "swiommu/domain/configured_domain.h"
#include "swiommu/hardware/amd.h"
#include "swiommu/hardware/riscv.h"
#include "swiommu/hardware/smmuv3.h"
#include "swiommu/hardware/vtd.h"
#include "swiommu/hardware/zpci.h"
#include "tools/numbers.h"

namespace swiommu::tools {

namespace {

using Source = Result<std::unique_ptr<ContextSource>>;

std::optional<std::uint64_t> value(RegisterValues const& registers, char const* name) {
  auto const at = registers.find(name);
  return at == registers.end() ? std::nullopt : std::optional(at->second);
}

std::optional<std::uint32_t> value32(RegisterValues const& registers, char const* name) {
  auto const wide = value(registers, name);
  return wide ? std::optional(static_cast<std::uint32_t>(*wide)) : std::nullopt;
}

template <class Unit>
Source owned(Result<Unit> unit) {
  if (!unit) return std::unexpected(std::move(unit).error());
  return std::make_unique<Unit>(std::move(*unit));
}

Source open_vtd(RegisterValues const& r, MemoryView const& memory) {
  return owned(vtd::Unit::create({.root_table_address = *value(r, "RTADDR"),
                                  .capability = value(r, "CAP"),
                                  .extended_capability = value(r, "ECAP"),
                                  .global_status = value(r, "GSTS")},
                                 memory));
}

Source open_smmuv3(RegisterValues const& r, MemoryView const& memory) {
  return owned(smmuv3::Unit::create({.strtab_base = *value(r, "STRTAB_BASE"),
                                     .strtab_base_cfg = *value32(r, "STRTAB_BASE_CFG"),
                                     .cr0 = value32(r, "CR0"),
                                     .cr2 = value32(r, "CR2"),
                                     .gbpa = value32(r, "GBPA"),
                                     .idr0 = value32(r, "IDR0"),
                                     .idr1 = value32(r, "IDR1"),
                                     .idr3 = value32(r, "IDR3"),
                                     .idr5 = value32(r, "IDR5")},
                                    memory, open_parent));
}

Source open_amd(RegisterValues const& r, MemoryView const& memory) {
  return owned(amd::Unit::create({.device_table_base = *value(r, "DEVTAB"),
                                  .control = value(r, "CONTROL"),
                                  .extended_features = value(r, "EXTFEAT"),
                                  .status = value(r, "STATUS")},
                                 memory, open_parent));
}

Source open_riscv(RegisterValues const& r, MemoryView const& memory) {
  return owned(riscv::Unit::create(
      {.capabilities = *value(r, "CAPABILITIES"), .fctl = value32(r, "FCTL").value_or(0), .ddtp = *value(r, "DDTP")}, memory,
      open_parent));
}

Source open_zpci(RegisterValues const& r, MemoryView const& memory) {
  return owned(zpci::Function::create(
      {.iota = value(r, "IOTA"), .pba = value(r, "PBA"), .pal = value(r, "PAL"), .dma_start = value(r, "SDMA").value_or(0)},
      memory));
}

struct Kind {
  std::vector<std::string_view> names;
  std::vector<std::string_view> needed;
  std::vector<std::string_view> optional;
  std::vector<std::string_view> narrow;  // those of 32 bits
  Source (*open)(RegisterValues const&, MemoryView const&);
};

std::vector<Kind> const& kinds() {
  static std::vector<Kind> const all = {
      {{"vtd", "intel-vtd", "intel"}, {"RTADDR"}, {"CAP", "ECAP", "GSTS"}, {}, open_vtd},
      {{"smmu", "smmuv3", "arm-smmuv3"},
       {"STRTAB_BASE", "STRTAB_BASE_CFG"},
       {"CR0", "CR2", "GBPA", "IDR0", "IDR1", "IDR3", "IDR5", "EVENTQ_BASE"},
       {"STRTAB_BASE_CFG", "CR0", "CR2", "GBPA", "IDR0", "IDR1", "IDR3", "IDR5"},
       open_smmuv3},
      {{"amd", "amd-vi"}, {"DEVTAB"}, {"CONTROL", "EXTFEAT", "STATUS"}, {}, open_amd},
      {{"riscv", "riscv-iommu"}, {"CAPABILITIES", "DDTP"}, {"FCTL"}, {"FCTL"}, open_riscv},
      {{"s390", "zpci", "s390-zpci"}, {"IOTA"}, {"PBA", "PAL", "SDMA"}, {}, open_zpci},
  };
  return all;
}

bool has(std::vector<std::string_view> const& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

Source open_iommu(std::string_view kind_name, RegisterValues const& registers, UnknownRegisters unknown,
                  MemoryView const& memory) {
  for (Kind const& kind : kinds()) {
    if (!has(kind.names, kind_name)) continue;
    if (unknown == UnknownRegisters::refuse)
      for (auto const& [name, ignored] : registers)
        if (!has(kind.needed, name) && !has(kind.optional, name))
          return fail(EINVAL, fmt::format("'{}' is no register of {}; there are {}, {}", name, kind_name,
                                          fmt::join(kind.needed, ", "), fmt::join(kind.optional, ", ")));
    for (std::string_view const name : kind.needed)
      if (!registers.contains(std::string(name))) return fail(EINVAL, fmt::format("{} needs the register {}", kind_name, name));
    for (auto const& [name, number] : registers)
      if (has(kind.narrow, name) && number > 0xffffffff)
        return fail(EINVAL, fmt::format("the register {} has 32 bits, 0x{:x} has more", name, number));
    return kind.open(registers, memory);
  }
  return fail(EINVAL, fmt::format("'{}' is no IOMMU; there are vtd, smmu, amd, riscv, s390", kind_name));
}

bool needs_device(std::string_view kind) { return !has(kinds().back().names, kind); }

std::string register_help() {
  std::string text = "Value of a register, once for each. Needed, and in brackets what may be given:";
  for (Kind const& kind : kinds())
    text += fmt::format("\n{}: {} [{}]", kind.names.front(), fmt::join(kind.needed, " "), fmt::join(kind.optional, " "));
  return text;
}

std::string upper_case(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

Result<void> add_register(RegisterValues& registers, std::string_view assignment) {
  auto const equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return fail(EINVAL, fmt::format("the register '{}' is not of the form NAME=VALUE", assignment));
  std::string name(assignment.substr(0, equals));
  name = upper_case(std::move(name));
  auto const parsed = parse_number(assignment.substr(equals + 1), fmt::format("the value of register {}", name));
  if (!parsed) return std::unexpected(parsed.error());
  if (!registers.emplace(name, *parsed).second) return fail(EINVAL, fmt::format("the register {} is given twice", name));
  return {};
}

}  // namespace swiommu::tools
