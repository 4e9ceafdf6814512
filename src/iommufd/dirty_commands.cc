// HWPT_SET_DIRTY_TRACKING and HWPT_GET_DIRTY_BITMAP.
#include <fmt/format.h>

#include <bit>

#include "iommufd/commands.h"
#include "iommufd/dirty_bitmap_writer.h"
#include "iommufd/hwpt.h"
#include "iommufd/ioas.h"

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

// The part of the range in front of the first hole; nothing if the hole comes first.
Result<std::optional<Range>> mapped_part(IoAddressSpace const& space, Range range) {
  auto const areas = space.areas(range);
  if (!areas) return std::unexpected(areas.error());
  std::optional<Range> part;
  for (Area const& area : *areas) {
    if (area.iovas.start > (part ? part->last + 1 : range.start)) break;
    part = Range{range.start, std::min(range.last, area.iovas.last)};
    if (part->last == range.last) break;
  }
  return part;
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
    auto const areas = (*hwpt)->ioas()->space().areas(Range::all());
    if (!areas) return std::unexpected(areas.error());
    for (Area const& area : *areas) SWIOMMU_TRY((*hwpt)->domain()->read_dirty(area.iovas, Clear::yes, [](Range) {}));
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
  auto const part = mapped_part(space, *range);
  if (!part) return std::unexpected(part.error());
  // Hardware that is not told to track sets no flags.
  if (!*part || !(*hwpt)->tracks_dirty()) return {};
  // Of a page size that is no power of two Linux takes the lowest bit.
  DirtyBitmapWriter writer(command.caller, arguments.data, arguments.iova,
                           static_cast<unsigned>(std::countr_zero(arguments.page_size)));
  Clear const clear = (arguments.flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) != 0 ? Clear::no : Clear::yes;
  SWIOMMU_TRY((*hwpt)->domain()->read_dirty(**part, clear, [&](Range dirty) { writer.set(dirty); }));
  writer.flush();
  return {};
}

}  // namespace swiommu::iommufd
