// The ioctls of VFIO's type 1 container, one file a family. They work on the file's compatibility IOAS. Mutex of the file held.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include "iommufd/file.h"
#include "iommufd/ioas.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/uapi/vfio_type1.h"

namespace swiommu::iommufd::type1 {

// ENODEV: there is none.
Result<std::shared_ptr<Ioas>> ioas_of(File const& file);

// A structure from the caller, up to and with the field that ends at `size`. EFAULT.
template <class Structure>
Result<Structure> read(Caller& caller, std::uint64_t address, std::size_t size) {
  Structure structure{};
  if (!caller.copy_in(address, std::as_writable_bytes(std::span(&structure, 1)).first(size)))
    return fail(EFAULT, "the structure cannot be read");
  return structure;
}

Result<std::uint64_t> check_extension(File& file, std::uint64_t extension);
Result<void> set_iommu(File& file, std::uint64_t type);
Result<void> get_info(File& file, Caller& caller, std::uint64_t argument);
Result<void> map_dma(File& file, Caller& caller, std::uint64_t argument);
Result<void> unmap_dma(File& file, Caller& caller, std::uint64_t argument);

}  // namespace swiommu::iommufd::type1
