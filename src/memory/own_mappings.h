// What the kernel has mapped in our own address space.
#pragma once
#include <vector>

#include "swiommu/base/range.h"
#include "swiommu/base/result.h"

namespace swiommu {

struct OwnMapping {
  Range range;  // pointers as numbers, clipped to what was asked for
  bool shared = false;
};

// The mappings in a range, ascending, as they are at the moment. Reads /proc/self/maps: the errno of open(2) and read(2). ENOMEM.
Result<std::vector<OwnMapping>> own_mappings(Range range);

}  // namespace swiommu
