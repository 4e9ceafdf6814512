// Deliberate defects, to prove that a test notices them. A library is built with at most one, named by SWIOMMU_SABOTAGE, and an
// ordinary one with none, where all of this costs nothing. tests/linux/sabotage.sh lists the names and builds them.
#pragma once
#include <string_view>

namespace swiommu {

consteval bool sabotaged([[maybe_unused]] std::string_view defect) {
#ifdef SWIOMMU_SABOTAGE
  return defect == SWIOMMU_SABOTAGE;
#else
  return false;
#endif
}

}  // namespace swiommu
