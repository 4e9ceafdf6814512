// The address space of a file's type 1 interface, for drivers of devices (VFIO's groups).
#pragma once
#include <cstdint>
#include <memory>

#include "swiommu/base/result.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::iommufd {

// Makes an IOAS for the type 1 interface of an open /dev/iommu or container, unless it has one. EBADFD: the file is neither.
// ENOMEM. Any thread; not inside a call of the file.
Result<void> provide_compatibility_ioas(std::shared_ptr<OpenFile> const& file);

// Its id. EBADFD; ENODEV: there is none (any more).
Result<std::uint32_t> compatibility_ioas_id(std::shared_ptr<OpenFile> const& file);

}  // namespace swiommu::iommufd
