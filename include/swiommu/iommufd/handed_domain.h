// The paging domain of an open /dev/iommu, for whoever uses the same memory without ioctls: a hypervisor that serves the traps of
// a guest whose memory a VMM has mapped.
#pragma once
#include <cstdint>
#include <memory>

#include "swiommu/base/result.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::iommufd {

// `id` names a paging HWPT: its domain. Or an IOAS: a domain of its own, with 64-bit inputs, that maps all that the IOAS maps,
// and from then on what comes and goes; its memory is pinned. The VMM's ioctls go on changing it; nested and shadow domains on
// top of it follow. It is not to be changed in other ways.
//
// As long as somebody keeps the pointer, or a domain on top, the object is in use (DESTROY gives EBUSY) and the file is
// open. The last one is dropped neither inside a guard nor inside a call of the file. Threads: any.
//
// EBADFD: the file is no /dev/iommu. ENOENT: there is no such object, or it is neither. The errors of
// IoAddressSpace::attach_domain(): memory that cannot be pinned, or that no longer is where it was. ENOMEM. EDEADLK.
Result<std::shared_ptr<PagingDomain>> hand_out_domain(std::shared_ptr<OpenFile> const& file, std::uint32_t id);

}  // namespace swiommu::iommufd
