#include "swiommu/base/interval_map.h"

#include <fmt/format.h>

namespace swiommu {

std::unexpected<Error> range_in_use(Range wanted, Range existing) {
  return fail(EEXIST, fmt::format("{:#x}-{:#x} overlaps {:#x}-{:#x}", wanted.start, wanted.last, existing.start, existing.last));
}

}  // namespace swiommu
