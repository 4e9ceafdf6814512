// Finds free iovas.
#pragma once
#include "domain/area_table.h"
#include "domain/iova_reservations.h"
#include "swiommu/base/interval_map.h"

namespace swiommu {

// The place for `length` bytes that are at `address`, as Linux chooses it; `alignment` is a power of two.
// EOVERFLOW: no length, or one of half of the 64-bit space; EINVAL: the address is less well aligned than that; ENOSPC.
Result<Range> allocate_iovas(IntervalMap<UsedArea> const& areas, IovaReservations const& reservations, std::uint64_t address,
                             std::uint64_t length, std::uint64_t alignment);

}  // namespace swiommu
