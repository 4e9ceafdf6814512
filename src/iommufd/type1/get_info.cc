// VFIO_IOMMU_GET_INFO: the structure, and a chain of capabilities behind it, of which those are written that fit.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "iommufd/type1/type1.h"

namespace swiommu::iommufd::type1 {
namespace {

constexpr std::size_t least = offsetof(vfio_iommu_type1_info, cap_offset);
constexpr std::uint16_t version = 1;

template <class Structure>
void append(std::vector<std::byte>& bytes, Structure const& structure) {
  auto const added = std::as_bytes(std::span(&structure, 1));
  bytes.insert(bytes.end(), added.begin(), added.end());
}

// A mask of sizes, in which all below a page of the host stand for that.
Result<std::uint64_t> page_sizes(IoAddressSpace const& space) {
  auto sizes = space.page_sizes();
  auto const alignment = space.alignment();
  if (!sizes) return sizes;
  if (!alignment) return std::unexpected(alignment.error());
  if ((*sizes & (host_page_size - 1)) != 0) *sizes = (*sizes & ~(host_page_size - 1)) | host_page_size;
  return std::max(*sizes, *alignment);
}

std::vector<std::byte> mappings_left() {
  std::vector<std::byte> bytes;
  append(bytes, vfio_iommu_type1_info_dma_avail{.header = {.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = version, .next = 0},
                                                .avail = ~std::uint32_t{0}});
  return bytes;
}

struct RangesHeader {
  vfio_info_cap_header header;
  std::uint32_t count;
  std::uint32_t reserved;
};
static_assert(sizeof(RangesHeader) == offsetof(vfio_iommu_type1_info_cap_iova_range, iova_ranges));

std::vector<std::byte> iovas(std::vector<Range> const& ranges) {
  std::vector<std::byte> bytes;
  append(bytes, RangesHeader{.header = {.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = version, .next = 0},
                             .count = static_cast<std::uint32_t>(ranges.size()),
                             .reserved = 0});
  for (Range const range : ranges) append(bytes, vfio_iova_range{range.start, range.last});
  return bytes;
}

// Writes what fits of a capability: entries one by one, the header only if all of them fit.
Result<void> write_part(Caller& caller, std::uint64_t to, std::span<std::byte const> bytes, std::uint64_t room) {
  auto const put = [&](std::size_t offset, std::size_t length) -> Result<void> {
    if (caller.copy_out(to + offset, bytes.subspan(offset, length))) return {};
    return fail(EFAULT, "a capability cannot be written");
  };
  for (std::size_t at = sizeof(RangesHeader); at < bytes.size() && at + sizeof(vfio_iova_range) <= room;
       at += sizeof(vfio_iova_range))
    SWIOMMU_TRY(put(at, sizeof(vfio_iova_range)));
  if (room < bytes.size()) return {};
  return put(0, std::min(bytes.size(), sizeof(RangesHeader)));
}

}  // namespace

Result<void> get_info(File& file, Caller& caller, std::uint64_t argument) {
  auto info = read<vfio_iommu_type1_info>(caller, argument, least);
  if (!info) return std::unexpected(info.error());
  if (info->argsz < least) return fail(EINVAL, fmt::format("argsz is {}, less than {}", info->argsz, least));
  std::uint64_t const room = info->argsz;
  auto const ioas = ioas_of(file);
  if (!ioas) return std::unexpected(ioas.error());
  IoAddressSpace const& space = (*ioas)->space();
  auto const sizes = page_sizes(space);
  if (!sizes) return std::unexpected(sizes.error());
  auto const ranges = space.iova_ranges();
  if (!ranges) return std::unexpected(ranges.error());

  std::uint64_t total = sizeof(vfio_iommu_type1_info), previous = 0;
  for (auto const& capability : {mappings_left(), iovas(*ranges)}) {
    if (room > total) SWIOMMU_TRY(write_part(caller, argument + total, capability, room - total));
    auto const next = static_cast<std::uint32_t>(total);
    if (previous != 0 && room >= total &&
        !caller.copy_out(argument + previous + offsetof(vfio_info_cap_header, next), std::as_bytes(std::span(&next, 1))))
      return fail(EFAULT, "the chain of capabilities cannot be written");
    previous = total;
    total += (capability.size() + 7) & ~std::uint64_t{7};
  }
  info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
  info->iova_pgsizes = *sizes;
  info->cap_offset = room >= total ? sizeof(vfio_iommu_type1_info) : 0;
  info->argsz = static_cast<std::uint32_t>(total);
  auto const bytes = std::as_bytes(std::span(&*info, 1));
  if (!caller.copy_out(argument, bytes.first(std::min<std::uint64_t>(room, bytes.size()))))
    return fail(EFAULT, "the structure cannot be written back");
  return {};
}

}  // namespace swiommu::iommufd::type1
