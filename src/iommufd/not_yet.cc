// Commands that are announced and not done.
#include "iommufd/commands.h"

namespace swiommu::iommufd {
namespace {
std::unexpected<Error> not_yet() { return fail(EOPNOTSUPP, "this command is not done yet"); }
}  // namespace

Result<void> destroy(Command<iommu_destroy> const& command) { return command.file.objects().destroy(command.arguments.id); }
Result<void> option(Command<iommu_option> const&) { return not_yet(); }
Result<void> vfio_ioas(Command<iommu_vfio_ioas> const&) { return not_yet(); }
Result<void> ioas_alloc(Command<iommu_ioas_alloc> const&) { return not_yet(); }
Result<void> ioas_allow_iovas(Command<iommu_ioas_allow_iovas> const&) { return not_yet(); }
Result<void> ioas_iova_ranges(Command<iommu_ioas_iova_ranges> const&) { return not_yet(); }
Result<void> ioas_map(Command<iommu_ioas_map> const&) { return not_yet(); }
Result<void> ioas_map_file(Command<iommu_ioas_map_file> const&) { return not_yet(); }
Result<void> ioas_copy(Command<iommu_ioas_copy> const&) { return not_yet(); }
Result<void> ioas_unmap(Command<iommu_ioas_unmap> const&) { return not_yet(); }
Result<void> ioas_change_process(Command<iommu_ioas_change_process> const&) { return not_yet(); }
Result<void> hwpt_alloc(Command<iommu_hwpt_alloc> const&) { return not_yet(); }
Result<void> hwpt_set_dirty_tracking(Command<iommu_hwpt_set_dirty_tracking> const&) { return not_yet(); }
Result<void> hwpt_get_dirty_bitmap(Command<iommu_hwpt_get_dirty_bitmap> const&) { return not_yet(); }
Result<void> hwpt_invalidate(Command<iommu_hwpt_invalidate> const&) { return not_yet(); }
Result<void> get_hw_info(Command<iommu_hw_info> const&) { return not_yet(); }
Result<void> fault_queue_alloc(Command<iommu_fault_alloc> const&) { return not_yet(); }
Result<void> viommu_alloc(Command<iommu_viommu_alloc> const&) { return not_yet(); }
Result<void> vdevice_alloc(Command<iommu_vdevice_alloc> const&) { return not_yet(); }
Result<void> veventq_alloc(Command<iommu_veventq_alloc> const&) { return not_yet(); }
Result<void> hw_queue_alloc(Command<iommu_hw_queue_alloc> const&) { return not_yet(); }
Result<std::uint64_t> type1_ioctl(File&, Caller&, std::uint32_t, std::uint64_t) { return not_yet(); }
bool is_type1(std::uint32_t request) { return (request & 0xff) < 0x80; }
Result<std::shared_ptr<MappableMemory>> File::map(std::uint64_t, std::uint64_t, int, int) {
  return fail(ENXIO, "nothing can be mapped here");
}

}  // namespace swiommu::iommufd
