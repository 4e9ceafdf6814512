// Which hardware is emulated, with which limits and capabilities.
#pragma once
#include <string>

namespace swiommu {

struct Profile {
  std::string name;
};

}  // namespace swiommu
