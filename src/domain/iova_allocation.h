// Finds free iovas.
#pragma once
#include <optional>

#include "domain/iova_reservations.h"
#include "swiommu/base/address.h"
#include "swiommu/base/interval_map.h"
#include "swiommu/domain/io_address_space.h"

namespace swiommu {

// The lowest place for `length` bytes (> 0, less than half of the 64-bit space) that are at `memory`, such that the mapping can
// have as large leaves as length and memory allow; if that has no room, with smaller ones. `alignment` is a power of two.
std::optional<Range> allocate_iovas(IntervalMap<Area> const& areas, IovaReservations const& reservations, HostAddress memory,
                                    std::uint64_t length, std::uint64_t alignment);

}  // namespace swiommu
