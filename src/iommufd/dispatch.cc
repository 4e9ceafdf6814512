#include "iommufd/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "iommufd/commands.h"

namespace swiommu::iommufd {
namespace {

#define END_OF(structure, field) (offsetof(structure, field) + sizeof(structure::field))

constexpr std::array native{
    operation<iommu_destroy, destroy>(IOMMU_DESTROY, END_OF(iommu_destroy, id)),
    operation<iommu_ioas_alloc, ioas_alloc>(IOMMU_IOAS_ALLOC, END_OF(iommu_ioas_alloc, out_ioas_id)),
    operation<iommu_ioas_allow_iovas, ioas_allow_iovas>(IOMMU_IOAS_ALLOW_IOVAS, END_OF(iommu_ioas_allow_iovas, allowed_iovas)),
    operation<iommu_ioas_copy, ioas_copy>(IOMMU_IOAS_COPY, END_OF(iommu_ioas_copy, src_iova)),
    operation<iommu_ioas_iova_ranges, ioas_iova_ranges>(IOMMU_IOAS_IOVA_RANGES,
                                                        END_OF(iommu_ioas_iova_ranges, out_iova_alignment)),
    operation<iommu_ioas_map, ioas_map>(IOMMU_IOAS_MAP, END_OF(iommu_ioas_map, iova)),
    operation<iommu_ioas_unmap, ioas_unmap>(IOMMU_IOAS_UNMAP, END_OF(iommu_ioas_unmap, length)),
    operation<iommu_option, option>(IOMMU_OPTION, END_OF(iommu_option, val64)),
    operation<iommu_vfio_ioas, vfio_ioas>(IOMMU_VFIO_IOAS, END_OF(iommu_vfio_ioas, __reserved)),
    operation<iommu_hwpt_alloc, hwpt_alloc>(IOMMU_HWPT_ALLOC, END_OF(iommu_hwpt_alloc, __reserved)),
    operation<iommu_hw_info, get_hw_info>(IOMMU_GET_HW_INFO, END_OF(iommu_hw_info, __reserved)),
    operation<iommu_hwpt_set_dirty_tracking, hwpt_set_dirty_tracking>(IOMMU_HWPT_SET_DIRTY_TRACKING,
                                                                      END_OF(iommu_hwpt_set_dirty_tracking, __reserved)),
    operation<iommu_hwpt_get_dirty_bitmap, hwpt_get_dirty_bitmap>(IOMMU_HWPT_GET_DIRTY_BITMAP,
                                                                  END_OF(iommu_hwpt_get_dirty_bitmap, data)),
    operation<iommu_hwpt_invalidate, hwpt_invalidate>(IOMMU_HWPT_INVALIDATE, END_OF(iommu_hwpt_invalidate, __reserved)),
    operation<iommu_fault_alloc, fault_queue_alloc>(IOMMU_FAULT_QUEUE_ALLOC, END_OF(iommu_fault_alloc, out_fault_fd)),
    operation<iommu_ioas_map_file, ioas_map_file>(IOMMU_IOAS_MAP_FILE, END_OF(iommu_ioas_map_file, iova)),
    operation<iommu_viommu_alloc, viommu_alloc>(IOMMU_VIOMMU_ALLOC, END_OF(iommu_viommu_alloc, out_viommu_id)),
    operation<iommu_vdevice_alloc, vdevice_alloc>(IOMMU_VDEVICE_ALLOC, END_OF(iommu_vdevice_alloc, virt_id)),
    operation<iommu_ioas_change_process, ioas_change_process>(IOMMU_IOAS_CHANGE_PROCESS,
                                                              END_OF(iommu_ioas_change_process, __reserved)),
    operation<iommu_veventq_alloc, veventq_alloc>(IOMMU_VEVENTQ_ALLOC, END_OF(iommu_veventq_alloc, out_veventq_fd)),
    operation<iommu_hw_queue_alloc, hw_queue_alloc>(IOMMU_HW_QUEUE_ALLOC, END_OF(iommu_hw_queue_alloc, length)),
};

#undef END_OF

constexpr std::uint32_t first_number = 0x80;

}  // namespace

std::span<Operation const> operations() { return native; }

Result<void> check_tail(Caller& caller, std::uint64_t address, std::uint32_t known, std::uint32_t size) {
  std::array<std::byte, 256> piece;
  for (std::uint32_t done = known; done < size;) {
    std::size_t const part = std::min<std::size_t>(piece.size(), size - done);
    if (!caller.copy_in(address + done, std::span(piece).first(part))) return fail(EFAULT, "the structure cannot be read");
    if (std::ranges::any_of(std::span(piece).first(part), [](std::byte byte) { return byte != std::byte{0}; }))
      return fail(E2BIG, fmt::format("the structure has {} bytes, of which {} are known, and the rest is not 0", size, known));
    done += static_cast<std::uint32_t>(part);
  }
  return {};
}

Result<std::uint64_t> dispatch(std::span<Operation const> table, File& file, Caller& caller, std::uint32_t request,
                               std::uint64_t argument) {
  std::uint32_t size = 0;
  if (!caller.copy_in(argument, std::as_writable_bytes(std::span(&size, 1))))
    return fail(EFAULT, "the structure's size cannot be read");
  std::uint32_t const index = (request & 0xff) - first_number;
  Operation const* row = nullptr;
  if (index < table.size() && table[index].request == request) row = &table[index];
  for (std::size_t at = 0; row == nullptr && at < table.size(); at++)
    if (table[at].request == request) row = &table[at];
  if (row == nullptr) return fail(ENOTTY, fmt::format("there is no ioctl {:#x}", request));
  if (size < row->least)
    return fail(EINVAL, fmt::format("the structure's size is {}, less than the {} bytes that are needed", size, row->least));
  alignas(8) std::array<std::byte, largest_structure> bytes{};
  if (!caller.copy_in(argument, std::span(bytes).first(std::min(size, row->size))))
    return fail(EFAULT, "the structure cannot be read");
  if (size > row->size) {
    SWIOMMU_TRY(check_tail(caller, argument, row->size, size));
  }
  std::vector<std::shared_ptr<void>> kept;  // dies without the lock
  Lock const lock(file.mutex());
  file.graveyard().clear();
  auto result = guarded([&] { return row->run(file, caller, std::span(bytes).first(row->size), argument, size); });
  kept = file.take_kept();
  return result;
}

}  // namespace swiommu::iommufd
