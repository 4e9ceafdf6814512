#include "domain/iova_allocation.h"

#include <algorithm>
#include <bit>

#include "swiommu/memory/mapping.h"

namespace swiommu {
namespace {

// Sizes of leaves that most formats with 4 KiB pages have.
constexpr std::uint64_t large_leaf = bit(21), huge_leaf = bit(30);

// Iova 0 is no valid DMA address for many drivers, the top page is where addresses of errors lie.
constexpr Range allocatable{host_page_size, ~host_page_size};

// `modulus`: the start is congruent to `memory` modulo this power of two.
std::optional<Range> first_fit(IntervalMap<Area> const& areas, Range window, std::uint64_t memory, std::uint64_t length,
                               std::uint64_t modulus) {
  for (std::uint64_t from = window.start;;) {
    auto const gap = areas.first_gap({from, window.last}, length, 1);
    if (!gap) return std::nullopt;
    std::uint64_t const start = gap->start + ((memory - gap->start) & (modulus - 1));
    if (start < gap->start || start > window.last || window.last - start < length - 1) return std::nullopt;
    Range const place{start, start + (length - 1)};
    auto const* const taken = areas.first_overlap(place);
    if (taken == nullptr) return place;
    if (taken->range.last >= window.last) return std::nullopt;
    from = taken->range.last + 1;
  }
}

}  // namespace

std::optional<Range> allocate_iovas(IntervalMap<Area> const& areas, IovaReservations const& reservations, HostAddress memory,
                                    std::uint64_t length, std::uint64_t alignment) {
  std::uint64_t const least = std::max(alignment, host_page_size);
  std::uint64_t previous = 0;
  for (std::uint64_t const wanted : {length >= huge_leaf ? huge_leaf : large_leaf, large_leaf, least}) {
    std::uint64_t const modulus = std::max(std::min(std::bit_ceil(length), wanted), least);
    if (modulus == previous) continue;
    previous = modulus;
    std::optional<Range> found;
    if (reservations.visit_windows(allocatable, [&](Range window) {
          found = first_fit(areas, window, memory.value, length, modulus);
          return found.has_value();
        }))
      return found;
  }
  return std::nullopt;
}

}  // namespace swiommu
