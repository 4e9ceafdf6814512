// HWPT_SET_DIRTY_TRACKING and HWPT_GET_DIRTY_BITMAP.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "iommufd/commands.h"
#include "iommufd/dirty_bitmap_writer.h"
#include "iommufd/hwpt.h"
#include "iommufd/ioas.h"
#include "swiommu/memory/dirty_bitmap.h"

namespace swiommu::iommufd {
namespace {

Result<void> check_tracking(HwptPaging const& hwpt) {
  if (hwpt.can_track_dirty()) return {};
  return fail(EOPNOTSUPP, fmt::format("HWPT {} was made without IOMMU_HWPT_ALLOC_DIRTY_TRACKING", hwpt.id()));
}

// The iovas that the bitmap is about.
Result<Range> range_of(iommu_hwpt_get_dirty_bitmap const& arguments, std::uint64_t alignment) {
  // Without a length the range ends before it starts, unless it starts at 0: then it is everything.
  std::uint64_t const last = arguments.iova + (arguments.length - 1);
  if (last < arguments.iova)
    return fail(EOVERFLOW, fmt::format("{:#x} bytes from iova {:#x} on are no range", arguments.length, arguments.iova));
  for (std::uint64_t const unit : {alignment, arguments.page_size}) {
    if (unit == 0) return fail(EINVAL, "pages of 0 bytes");
    if (((arguments.iova | (last + 1)) & (unit - 1)) != 0)
      return fail(EINVAL, fmt::format("iovas {:#x}-{:#x} are not aligned to {:#x}", arguments.iova, last, unit));
  }
  return Range{arguments.iova, last};
}

}  // namespace

Result<void> hwpt_set_dirty_tracking(Command<iommu_hwpt_set_dirty_tracking> const& command) {
  auto const& arguments = command.arguments;
  if ((arguments.flags & ~std::uint32_t{IOMMU_HWPT_DIRTY_TRACKING_ENABLE}) != 0)
    return fail(EOPNOTSUPP, fmt::format("unknown flags {:#x}", arguments.flags));
  auto const hwpt = command.file.objects().find<HwptPaging>(arguments.hwpt_id);
  if (!hwpt) return std::unexpected(hwpt.error());
  SWIOMMU_TRY(check_tracking(**hwpt));
  bool const enable = (arguments.flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE) != 0;
  if (enable) {
    IoAddressSpace const& space = (*hwpt)->ioas()->space();
    auto const areas = space.areas(Range::all());
    if (!areas) return std::unexpected(areas.error());
    for (Area const& area : *areas) SWIOMMU_TRY(space.read_dirty(*(*hwpt)->domain(), area.iovas, Clear::yes, [](Range) {}));
  }
  (*hwpt)->set_tracks_dirty(enable);
  return {};
}

Result<void> hwpt_get_dirty_bitmap(Command<iommu_hwpt_get_dirty_bitmap> const& command) {
  auto const& arguments = command.arguments;
  if ((arguments.flags & ~std::uint32_t{IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR}) != 0)
    return fail(EOPNOTSUPP, fmt::format("unknown flags {:#x}", arguments.flags));
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  auto const hwpt = command.file.objects().find<HwptPaging>(arguments.hwpt_id);
  if (!hwpt) return std::unexpected(hwpt.error());
  IoAddressSpace const& space = (*hwpt)->ioas()->space();
  auto const alignment = space.alignment();
  if (!alignment) return std::unexpected(alignment.error());
  auto const range = range_of(arguments, *alignment);
  if (!range) return std::unexpected(range.error());
  SWIOMMU_TRY(check_tracking(**hwpt));
  auto const mapped = space.mapped_part(*range);
  if (!mapped) return std::unexpected(mapped.error());
  // Hardware that is not told to track sets no flags.
  if (!*mapped || !(*hwpt)->tracks_dirty()) return {};
  // Of a page size that is no power of two Linux takes the lowest bit.
  auto const page_size_lg2 = static_cast<unsigned>(std::countr_zero(arguments.page_size));
  PagingDomain& domain = *(*hwpt)->domain();
  // First into words of our own: nobody waits for the caller's memory while the address space is locked.
  unsigned const kept_lg2 = std::max(page_size_lg2, domain.shape().smallest_page_lg2());
  std::vector<std::uint64_t> words(DirtyBitmap::words_for(**mapped, kept_lg2));
  auto found = DirtyBitmap::over(**mapped, kept_lg2, words);
  if (!found) return std::unexpected(found.error());
  Clear const clear = (arguments.flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) != 0 ? Clear::no : Clear::yes;
  SWIOMMU_TRY(space.read_dirty(domain, **mapped, clear, [&](Range dirty) { found->set(dirty); }));
  DirtyBitmapWriter writer(command.caller, arguments.data, arguments.iova, page_size_lg2);
  found->for_each_dirty_range([&](Range dirty) { writer.set(dirty); });
  writer.flush();
  return {};
}

}  // namespace swiommu::iommufd
