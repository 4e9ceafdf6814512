// GET_HW_INFO of hardware that has one structure of information.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "iommufd/driver.h"

namespace swiommu::iommufd {

// EOPNOTSUPP: `asked` is another type than this, and not the default one. ENOMEM.
template <class Structure>
Result<HardwareInfo> information(std::uint32_t type, Structure const& structure, std::uint32_t asked) {
  if (asked != 0 && asked != type) return fail(EOPNOTSUPP, "this hardware has no information of that type");
  return guarded([&]() -> Result<HardwareInfo> {
    auto const bytes = std::as_bytes(std::span(&structure, 1));
    return HardwareInfo{type, {bytes.begin(), bytes.end()}};
  });
}

}  // namespace swiommu::iommufd
