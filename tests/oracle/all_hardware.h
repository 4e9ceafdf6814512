// The IOMMUs of QEMU, in all modes that it has.
#pragma once
#include <memory>
#include <vector>

#include "oracle/hardware.h"

namespace swiommu::oracle {

std::vector<std::unique_ptr<Hardware>> vtd_hardware();
std::vector<std::unique_ptr<Hardware>> amd_hardware();
std::vector<std::unique_ptr<Hardware>> smmuv3_hardware();
std::vector<std::unique_ptr<Hardware>> riscv_hardware();

std::vector<std::unique_ptr<Hardware>> all_hardware();

}  // namespace swiommu::oracle
