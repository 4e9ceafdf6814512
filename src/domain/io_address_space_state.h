// What the mutex of an I/O address space guards. Whoever waits for a guard may hold that mutex: every call refuses threads that
// are inside one before it takes it.
#pragma once
#include "domain/area_table.h"
#include "domain/iova_reservations.h"
#include "swiommu/domain/io_address_space.h"

namespace swiommu {

struct IoAddressSpace::State {
  AreaTable table;
  IovaReservations reservations;

  // Removes the areas in the range, which cuts none; returns their bytes.
  std::uint64_t remove(Range iovas) noexcept {
    std::uint64_t bytes = 0;
    for (auto const& entry : table.areas().overlapping(iovas)) bytes += entry.range.length();
    table.remove(iovas, reservations);
    return bytes;
  }
};

inline Result<void> check_order(Range iovas) {
  if (iovas.start > iovas.last) return fail(EINVAL, "a range of iovas that ends before it starts");
  return {};
}

}  // namespace swiommu
