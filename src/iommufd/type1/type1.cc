#include "iommufd/type1/type1.h"

#include <fmt/format.h>

#include <algorithm>

#include "iommufd/commands.h"
#include "iommufd/hwpt.h"

namespace swiommu::iommufd {
namespace type1 {

Result<std::shared_ptr<Ioas>> ioas_of(File const& file) {
  auto ioas = file.compatibility_ioas();
  if (!ioas) return fail(ENODEV, "the type 1 interface has no IOAS: none was set (VFIO_IOAS), and no group is in the container");
  return ioas;
}

Result<std::uint64_t> check_extension(File& file, std::uint64_t extension) {
  switch (extension) {
    case VFIO_TYPE1_IOMMU:
    case VFIO_TYPE1v2_IOMMU:
    case VFIO_UNMAP_ALL: return 1;
    case VFIO_DMA_CC_IOMMU: {
      auto const ioas = ioas_of(file);
      if (!ioas) return std::unexpected(ioas.error());
      return std::ranges::all_of((*ioas)->hwpts(), &HwptPaging::enforces_coherency) ? 1 : 0;
    }
    default: return 0;
  }
}

Result<void> set_iommu(File& file, std::uint64_t type) {
  if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
    return fail(EINVAL, fmt::format("there is no IOMMU of type {}: types 1 and 3 are", type));
  auto const ioas = ioas_of(file);
  if (!ioas) return std::unexpected(ioas.error());
  // Type 1 may unmap parts of what was mapped at once, which leaves of 4 KiB allow.
  if (type == VFIO_TYPE1_IOMMU) return (*ioas)->space().allow_huge_pages(false);
  return {};
}

}  // namespace type1

// The numbers that the native table does not reach, on both sides of it.
bool is_type1(std::uint32_t request) {
  std::uint32_t const number = request & 0xff;
  return number < 0x80 || number > 0xa0;
}

Result<std::uint64_t> type1_ioctl(File& file, Caller& caller, std::uint32_t request, std::uint64_t argument) {
  return guarded([&]() -> Result<std::uint64_t> {
    Lock const lock(file.mutex());
    switch (request) {
      case VFIO_GET_API_VERSION: return VFIO_API_VERSION;
      case VFIO_CHECK_EXTENSION: return type1::check_extension(file, argument);
      case VFIO_SET_IOMMU: SWIOMMU_TRY(type1::set_iommu(file, argument)); return 0;
      case VFIO_IOMMU_GET_INFO: SWIOMMU_TRY(type1::get_info(file, caller, argument)); return 0;
      case VFIO_IOMMU_MAP_DMA: SWIOMMU_TRY(type1::map_dma(file, caller, argument)); return 0;
      case VFIO_IOMMU_UNMAP_DMA: SWIOMMU_TRY(type1::unmap_dma(file, caller, argument)); return 0;
      default: return fail(ENOTTY, fmt::format("there is no ioctl {:#x}", request));
    }
  });
}

}  // namespace swiommu::iommufd
