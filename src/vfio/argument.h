// Structures of ioctls, by VFIO's rule: they begin with argsz, and must be as long as their oldest form.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "swiommu/base/result.h"
#include "swiommu/iommufd/caller.h"

#define SWIOMMU_END_OF(structure, field) (offsetof(structure, field) + sizeof(structure::field))

namespace swiommu::vfio {

// The first `least` bytes; the rest stays. EFAULT. EINVAL: argsz is less than that.
template <class Structure>
Result<void> read_argument(iommufd::Caller& caller, std::uint64_t address, std::size_t least, Structure& structure) {
  if (!caller.copy_in(address, std::as_writable_bytes(std::span(&structure, 1)).first(least)))
    return fail(EFAULT, "the structure cannot be read");
  if (structure.argsz < least) return fail(EINVAL, "argsz is less than the structure has bytes");
  return {};
}

// EFAULT.
inline Result<void> copy_to(iommufd::Caller& caller, std::uint64_t address, std::span<std::byte const> bytes) {
  if (caller.copy_out(address, bytes)) return {};
  return fail(EFAULT, "the answer cannot be written");
}

// Its first bytes, back to where it came from. EFAULT.
template <class Structure>
Result<void> write_argument(iommufd::Caller& caller, std::uint64_t address, Structure const& structure, std::size_t bytes) {
  return copy_to(caller, address, std::as_bytes(std::span(&structure, 1)).first(std::min(bytes, sizeof structure)));
}

}  // namespace swiommu::vfio
