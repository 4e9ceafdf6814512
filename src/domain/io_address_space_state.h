// What the mutex of an I/O address space guards.
#pragma once
#include "domain/area_table.h"
#include "domain/iova_reservations.h"
#include "swiommu/base/grace_period.h"
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

// Whoever waits for this thread's guard may hold the mutex, so that no call may even wait for that.
inline Result<void> refuse_inside_guard() {
  if (guards_held() != 0) return fail(EDEADLK, "this thread is inside a DMA guard, which the call might wait for");
  return {};
}

inline Result<void> check_order(Range iovas) {
  if (iovas.start > iovas.last) return fail(EINVAL, "a range of iovas that ends before it starts");
  return {};
}

}  // namespace swiommu
