// Commands that are announced and not done.
#include "iommufd/commands.h"

namespace swiommu::iommufd {
namespace {
std::unexpected<Error> not_yet() { return fail(EOPNOTSUPP, "this command is not done yet"); }
}  // namespace

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
Result<std::shared_ptr<MappableMemory>> File::map(std::uint64_t, std::uint64_t, int, int) {
  return fail(ENXIO, "nothing can be mapped here");
}

}  // namespace swiommu::iommufd
