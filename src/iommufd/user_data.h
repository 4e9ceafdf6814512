// A pointer to data beside the structure of an ioctl (data_type, data_uptr, data_len), as drivers read it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>

#include "swiommu/base/result.h"
#include "swiommu/iommufd/caller.h"

namespace swiommu::iommufd {

struct UserData {
  std::uint32_t type = 0;
  std::uint64_t address = 0;
  std::uint32_t length = 0;

  // The data as a structure of type `wanted`, zero-extended. EINVAL: another type; shorter than `least` or longer than the
  // structure. EFAULT.
  template <class Structure>
  Result<Structure> read(Caller& caller, std::uint32_t wanted, std::size_t least) const {
    if (type != wanted) return fail(EINVAL, "data of another type than this hardware takes");
    if (length < least || length > sizeof(Structure)) return fail(EINVAL, "data of a length that this type does not have");
    Structure structure{};
    if (!caller.copy_in(address, std::as_writable_bytes(std::span(&structure, 1)).first(length)))
      return fail(EFAULT, "the data cannot be read");
    return structure;
  }

  // Copies a structure back, no more of it than there is room for. EFAULT.
  template <class Structure>
  Result<void> write(Caller& caller, Structure const& structure) const {
    auto const bytes = std::as_bytes(std::span(&structure, 1));
    if (caller.copy_out(address, bytes.first(std::min<std::size_t>(length, bytes.size())))) return {};
    return fail(EFAULT, "the data cannot be written back");
  }
};

}  // namespace swiommu::iommufd
