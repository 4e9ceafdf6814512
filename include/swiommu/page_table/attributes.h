// What a mapping allows and what kind of memory it leads to.
#pragma once
#include <cstdint>

#include "swiommu/base/access.h"

namespace swiommu {

// The kinds of memory that formats tell apart. A format without a field for them maps everything as normal.
enum class MemoryType : std::uint8_t {
  normal,        // cacheable, ordered weakly
  noncacheable,  // memory, but not through caches
  device,        // registers: no gathering, no reordering
};

struct Attributes {
  Access access;
  MemoryType memory = MemoryType::normal;
  bool coherent = false;  // snooped whatever the device asks for (VT-d SNP, AMD FC)
  bool operator==(Attributes const&) const = default;
};

}  // namespace swiommu
