// What mapping commands have in common, whether of /dev/iommu or of the type 1 interface.
#pragma once
#include <cstdint>
#include <memory>

#include "iommufd/file.h"
#include "iommufd/ioas.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/memory/pinned_pages.h"

namespace swiommu::iommufd {

// Memory of the caller, and who pays for it from now on; pins nothing. EOVERFLOW: the end of the memory is beyond the largest
// address. EINVAL: no length, or one of nearly the whole 64-bit space. ENOMEM.
Result<PagesSlice> memory_of(File& file, Caller& caller, std::uint64_t address, std::uint64_t length, bool writable);

// The same of a file or a device's buffer, by descriptor. EINVAL: no length; beyond the end of a buffer. EOVERFLOW: the end is
// beyond the largest offset. EBADF. EOPNOTSUPP: a buffer of a kind that cannot be mapped. ENODEV: one that is revoked. ENOMEM.
Result<PagesSlice> file_of(File& file, Caller& caller, int descriptor, std::uint64_t start, std::uint64_t length, bool writable);

// The bill that the caller gets at the moment.
Result<std::shared_ptr<Account>> new_bill(File const& file, Caller& caller);

}  // namespace swiommu::iommufd
