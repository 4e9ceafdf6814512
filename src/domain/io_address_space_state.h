// What the mutex of an I/O address space guards. Whoever waits for a guard may hold that mutex: every call refuses threads that
// are inside one before it takes it.
#pragma once
#include <map>

#include "domain/area_table.h"
#include "domain/iova_reservations.h"
#include "swiommu/domain/io_address_space.h"
#include "swiommu/domain/software_access.h"

namespace swiommu {

// Why the unmapping of areas in a row has stopped.
struct UnmapStop {
  std::optional<Range> pinned;  // this area first: software is to be asked for it
  Result<void> done;            // otherwise
};

struct IoAddressSpace::State {
  struct Attached {
    std::weak_ptr<SoftwareAccess> access;
    bool pins = false;
  };

  explicit State(bool within_host_pages) : table(within_host_pages) {}

  AreaTable table;
  IovaReservations reservations;
  std::map<std::uint64_t, Attached> accesses;  // by number, in the order of attaching
  std::uint64_t next_access = 1;

  // What iovas, lengths and the places of memory in its pages must be multiples of.
  [[nodiscard]] std::uint64_t alignment() const;

  // EADDRINUSE: an area is not aligned to that.
  [[nodiscard]] Result<void> check_aligned(std::uint64_t alignment) const;

  // ENOENT: the range holds only part of an area at one of its ends. EBUSY: software has locked one.
  [[nodiscard]] Result<void> check_whole(Range iovas) const;

  // Unmaps areas in ascending order until one cannot go yet; `iovas` loses what is done, `bytes` counts it.
  UnmapStop remove_in_order(Range& iovas, std::uint64_t& bytes);
};

inline Result<void> check_order(Range iovas) {
  if (iovas.start > iovas.last) return fail(EINVAL, "a range of iovas that ends before it starts");
  return {};
}

}  // namespace swiommu
