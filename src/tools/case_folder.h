// A case: a folder with a guest's memory and the registers of its IOMMU.
#pragma once
#include <filesystem>
#include <string>

#include "swiommu/base/result.h"
#include "tools/iommu_kinds.h"

namespace swiommu::tools {

struct Case {
  std::string name;              // of the folder
  std::filesystem::path memory;  // memory.elf or memory.elf.zst
  std::string iommu;
  RegisterValues registers;
  std::uint32_t device = 0;
  bool big_endian = false;
};

// Reads from case.json only what a user of the hardware knows: iommu, registers, device and byte_order. Errors name the file,
// and the value and what would be right.
Result<Case> read_case(std::filesystem::path const& folder);

}  // namespace swiommu::tools
