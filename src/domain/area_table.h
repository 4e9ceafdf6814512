// The areas of an I/O address space, and the domains that map them.
#pragma once
#include <memory>
#include <vector>

#include "domain/iova_reservations.h"
#include "swiommu/base/interval_map.h"
#include "swiommu/domain/io_address_space.h"

namespace swiommu {

// Every domain maps every area; every area is pinned once while there is a domain. Every error leaves everything as it was.
// What is changed may be waited for, so the calling thread must not be inside a guard. No locking.
class AreaTable {
 public:
  AreaTable() = default;
  AreaTable(AreaTable const&) = delete;
  AreaTable& operator=(AreaTable const&) = delete;

  [[nodiscard]] IntervalMap<Area> const& areas() const { return areas_; }
  [[nodiscard]] std::vector<std::shared_ptr<PagingDomain>> const& domains() const { return domains_; }
  [[nodiscard]] std::uint64_t alignment() const { return alignment_; }  // the domains' largest smallest page, or 1

  // EEXIST: meets another area; the errors of Pages::pin and PagingDomain::map; ENOMEM. May throw std::bad_alloc.
  Result<void> add(Area area);

  // Removes the areas in the range, which cuts none. Space between areas that is not reserved is unmapped with them, because one
  // unmapping of a domain, and one wait for DMA, is cheaper than many.
  void remove(Range iovas, IovaReservations const& reservations) noexcept;

  // The domain is none of domains(). The errors of Pages::pin and PagingDomain::map; ENOMEM. May throw std::bad_alloc.
  Result<void> attach(std::shared_ptr<PagingDomain> domain);

  // False: it is none of domains(). What the domain reserves must be reserved still.
  bool detach(PagingDomain const& domain, IovaReservations const& reservations) noexcept;

 private:
  template <class Visit>
  void for_each_run(Range iovas, IovaReservations const& reservations, Visit visit) const;

  IntervalMap<Area> areas_;
  std::vector<std::shared_ptr<PagingDomain>> domains_;
  std::uint64_t alignment_ = 1;
};

}  // namespace swiommu
