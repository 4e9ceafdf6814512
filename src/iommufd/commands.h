// Every native ioctl, as a function. They run with the file's mutex held, after their structure was copied in and zero-extended.
// Each file of commands holds one family.
#pragma once
#include <cstdint>

#include "iommufd/command.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {

// destroy.cc, option.cc
Result<void> destroy(Command<iommu_destroy> const& command);
Result<void> option(Command<iommu_option> const& command);
Result<void> vfio_ioas(Command<iommu_vfio_ioas> const& command);

// ioas_commands.cc
Result<void> ioas_alloc(Command<iommu_ioas_alloc> const& command);
Result<void> ioas_allow_iovas(Command<iommu_ioas_allow_iovas> const& command);
Result<void> ioas_iova_ranges(Command<iommu_ioas_iova_ranges> const& command);
Result<void> ioas_map(Command<iommu_ioas_map> const& command);
Result<void> ioas_map_file(Command<iommu_ioas_map_file> const& command);
Result<void> ioas_copy(Command<iommu_ioas_copy> const& command);
Result<void> ioas_unmap(Command<iommu_ioas_unmap> const& command);
Result<void> ioas_change_process(Command<iommu_ioas_change_process> const& command);

// hwpt_commands.cc
Result<void> hwpt_alloc(Command<iommu_hwpt_alloc> const& command);
Result<void> hwpt_set_dirty_tracking(Command<iommu_hwpt_set_dirty_tracking> const& command);
Result<void> hwpt_get_dirty_bitmap(Command<iommu_hwpt_get_dirty_bitmap> const& command);
Result<void> hwpt_invalidate(Command<iommu_hwpt_invalidate> const& command);
Result<void> get_hw_info(Command<iommu_hw_info> const& command);

// viommu_commands.cc
Result<void> fault_queue_alloc(Command<iommu_fault_alloc> const& command);
Result<void> viommu_alloc(Command<iommu_viommu_alloc> const& command);
Result<void> vdevice_alloc(Command<iommu_vdevice_alloc> const& command);
Result<void> veventq_alloc(Command<iommu_veventq_alloc> const& command);
Result<void> hw_queue_alloc(Command<iommu_hw_queue_alloc> const& command);

// type1/: the ioctls of VFIO's type 1 container; argument checks are their own (argsz).
Result<std::uint64_t> type1_ioctl(File& file, Caller& caller, std::uint32_t request, std::uint64_t argument);
[[nodiscard]] bool is_type1(std::uint32_t request);

}  // namespace swiommu::iommufd
