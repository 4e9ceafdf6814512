// Mapping and unmapping.
#include <fmt/format.h>

#include <array>

#include "iommufd/mapping.h"
#include "iommufd/type1/type1.h"

namespace swiommu::iommufd::type1 {
namespace {

// vfio_iommu_type1_dma_unmap without what may follow.
struct Unmap {
  std::uint32_t argsz;
  std::uint32_t flags;
  std::uint64_t iova;
  std::uint64_t size;
};
static_assert(sizeof(Unmap) == sizeof(vfio_iommu_type1_dma_unmap) &&
              offsetof(Unmap, size) == offsetof(vfio_iommu_type1_dma_unmap, size));

// Unmaps, having cut areas at both ends where that is possible.
Result<Unmapped> unmap(IoAddressSpace& space, Unmap const& wanted) {
  if ((wanted.flags & VFIO_DMA_UNMAP_FLAG_ALL) != 0) {
    if (wanted.iova != 0 || wanted.size != 0) return fail(EINVAL, "to unmap all, iova and size must be 0");
    return space.unmap_in_order(Range::all());
  }
  if (!space.huge_pages()) {
    std::array<std::uint64_t, 2> const ends{wanted.iova + wanted.size - 1, wanted.iova - 1};
    SWIOMMU_TRY(space.cut(std::span(ends).first(wanted.iova != 0 ? 2 : 1)));
  }
  if (wanted.size == 0) return Unmapped{0, fail(EINVAL, "no bytes to unmap")};
  auto const iovas = Range::of_length(wanted.iova, wanted.size);
  if (!iovas)
    return Unmapped{0,
                    fail(EOVERFLOW, fmt::format("{:#x} bytes from iova {:#x} leave the 64-bit space", wanted.size, wanted.iova))};
  return space.unmap_in_order(*iovas);
}

}  // namespace

Result<void> map_dma(File& file, Caller& caller, std::uint64_t argument) {
  auto const wanted = read<vfio_iommu_type1_dma_map>(caller, argument, sizeof(vfio_iommu_type1_dma_map));
  if (!wanted) return std::unexpected(wanted.error());
  if (wanted->argsz < sizeof(vfio_iommu_type1_dma_map)) return fail(EINVAL, fmt::format("argsz is {}, too small", wanted->argsz));
  if ((wanted->flags & ~std::uint32_t{VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE}) != 0)
    return fail(EINVAL, fmt::format("flags {:#x}, of which only read and write are known", wanted->flags));
  bool const reads = (wanted->flags & VFIO_DMA_MAP_FLAG_READ) != 0, writes = (wanted->flags & VFIO_DMA_MAP_FLAG_WRITE) != 0;
  auto const ioas = ioas_of(file);
  if (!ioas) return std::unexpected(ioas.error());
  auto const memory = memory_of(file, caller, wanted->vaddr, wanted->size, writes);
  if (!memory) return std::unexpected(memory.error());
  return (*ioas)->space().map(Iova(wanted->iova), *memory, {.access = {.read = reads, .write = writes}});
}

Result<void> unmap_dma(File& file, Caller& caller, std::uint64_t argument) {
  auto wanted = read<Unmap>(caller, argument, sizeof(Unmap));
  if (!wanted) return std::unexpected(wanted.error());
  if (wanted->argsz < sizeof(Unmap)) return fail(EINVAL, fmt::format("argsz is {}, too small", wanted->argsz));
  if ((wanted->flags & ~std::uint32_t{VFIO_DMA_UNMAP_FLAG_ALL}) != 0)
    return fail(EINVAL, fmt::format("flags {:#x}, of which only \"all\" is known", wanted->flags));
  auto const ioas = ioas_of(file);
  if (!ioas) return std::unexpected(ioas.error());
  auto const unmapped = unmap((*ioas)->space(), *wanted);
  if (!unmapped) return std::unexpected(unmapped.error());
  wanted->size = unmapped->bytes;  // also after an error
  if (!caller.copy_out(argument, std::as_bytes(std::span(&*wanted, 1))))
    return fail(EFAULT, "the size that was unmapped cannot be written back");
  return unmapped->done;
}

}  // namespace swiommu::iommufd::type1
