// The regions of a function's file, and reading, writing and mapping them.
#pragma once
#include <cstdint>
#include <memory>

#include "swiommu/base/result.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::vfio {

class PciFunction;

// Which region is where in the file: part of what programs rely on, though they are told.
inline constexpr unsigned region_shift = 40;
[[nodiscard]] constexpr std::uint64_t region_offset(std::uint64_t index) { return index << region_shift; }

// pread(2) and pwrite(2): bytes done, which end with the region. EINVAL: there is no such region, or it cannot be written, or
// ends before. EFAULT: beyond the end of the configuration space; an address of the caller. EIO: memory is not enabled.
Result<std::uint64_t> read_region(PciFunction& function, iommufd::Caller& caller, std::uint64_t to, std::uint64_t length,
                                  std::uint64_t offset);
Result<std::uint64_t> write_region(PciFunction& function, iommufd::Caller& caller, std::uint64_t from, std::uint64_t length,
                                   std::uint64_t offset);

// mmap(2). `file` stays open as long as the mapping. EINVAL: not shared, not in one mappable BAR, or not whole pages.
Result<std::shared_ptr<iommufd::MappableMemory>> map_region(PciFunction& function, std::shared_ptr<iommufd::OpenFile> file,
                                                            std::uint64_t offset, std::uint64_t length, int flags);

}  // namespace swiommu::vfio
