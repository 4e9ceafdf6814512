// The IOMMUs that a device can be behind, by their names on the command line and in case.json.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "swiommu/base/result.h"
#include "swiommu/domain/context_source.h"

namespace swiommu::tools {

using RegisterValues = std::map<std::string, std::uint64_t>;  // names in upper case

// What a register that the IOMMU does not have means: a mistake of somebody who typed it, or more than we need in a file.
enum class UnknownRegisters : bool { refuse, ignore };

// The IOMMU `kind` ("vtd", "smmu", "amd", "riscv", "s390") with these registers, reading its structures from `memory`.
// EINVAL: no such kind, no such register, one that is needed is missing, or a value is
// wider than its register.
Result<std::unique_ptr<ContextSource>> open_iommu(std::string_view kind, RegisterValues const& registers,
                                                  UnknownRegisters unknown, MemoryView const& memory);

// Are there several devices behind one IOMMU of this kind? On s390 each function has an anchor of its own.
bool needs_device(std::string_view kind);

// Every kind with the registers that it needs, and in brackets those that it may be given: for --help.
std::string register_help();

// Names of registers may be written as one likes.
std::string upper_case(std::string name);

// "NAME=VALUE" into `registers`.
Result<void> add_register(RegisterValues& registers, std::string_view assignment);

}  // namespace swiommu::tools
