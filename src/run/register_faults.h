// Accesses of the program to registers that act: they fault, and its handler makes calls of them.
#pragma once

namespace swiommu::run {

// From the first time on faults are caught. False: not on this machine, whose instructions we do not know.
[[nodiscard]] bool catch_register_faults();

}  // namespace swiommu::run
