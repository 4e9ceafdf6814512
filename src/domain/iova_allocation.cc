#include "domain/iova_allocation.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "swiommu/memory/mapping.h"

namespace swiommu {
namespace {

constexpr std::uint64_t most_alignment = bit(21);  // of a transparent huge page

// Iova 0 is no valid DMA address for many drivers, the top page is where addresses of errors lie.
constexpr Range allocatable{host_page_size, ~host_page_size};

struct Wish {
  std::uint64_t length, alignment;
  std::uint64_t page_offset;  // less than a page: set in every start, which need not be a multiple of the alignment then

  // The place at the lower end of a free range. A free range of one byte never does, as in Linux.
  [[nodiscard]] std::optional<Range> fit(Range free) const {
    std::uint64_t start = free.start + (alignment - 1);
    if (start < free.start) return std::nullopt;
    start = (start & ~(alignment - 1)) | page_offset;
    if (start >= free.last || free.last - start < length - 1) return std::nullopt;
    return Range{start, start + (length - 1)};
  }
};

std::optional<Range> first_fit(IntervalMap<UsedArea> const& areas, Range window, Wish const& wish) {
  for (std::uint64_t from = window.start;;) {
    auto const gap = areas.first_gap({from, window.last}, wish.length, 1);
    if (!gap) return std::nullopt;
    auto const* const above = areas.first_overlap({gap->start, window.last});
    if (auto const place = wish.fit({gap->start, above != nullptr ? above->range.start - 1 : window.last})) return place;
    if (above == nullptr || above->range.last >= window.last) return std::nullopt;
    from = above->range.last + 1;
  }
}

}  // namespace

Result<Range> allocate_iovas(IntervalMap<UsedArea> const& areas, IovaReservations const& reservations, std::uint64_t address,
                             std::uint64_t length, std::uint64_t alignment) {
  if (length == 0 || length >= bit(63) - 1) return fail(EOVERFLOW, fmt::format("no place is looked for for {:#x} bytes", length));
  Wish wish{length, std::bit_ceil(length), address & (host_page_size - 1)};
  if (address != 0) wish.alignment = std::min(wish.alignment, bit(alignment_lg2(address)));
  wish.alignment = std::min(wish.alignment, most_alignment);
  if (wish.alignment < alignment)
    return fail(EINVAL, fmt::format("{:#x} bytes from {:#x} are not aligned to {:#x}", length, address, alignment));
  std::optional<Range> found;
  reservations.visit_windows(allocatable, [&](Range window) {
    found = first_fit(areas, window, wish);
    return found.has_value();
  });
  if (!found) return fail(ENOSPC, fmt::format("no free iovas for {:#x} bytes aligned to {:#x}", length, wish.alignment));
  return *found;
}

}  // namespace swiommu
