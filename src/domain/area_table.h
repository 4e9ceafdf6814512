// The areas of an I/O address space, and the domains that map them.
#pragma once
#include <memory>
#include <vector>

#include "domain/iova_reservations.h"
#include "swiommu/base/interval_map.h"
#include "swiommu/domain/io_address_space.h"

namespace swiommu {

// An area, and the software that has pinned some of it.
struct UsedArea : Area {
  std::uint32_t accesses = 0;  // pins of SoftwareAccess
  std::uint32_t locks = 0;     // those of them that forbid unmapping
  bool leaving = false;        // being unmapped: no new pins
};

// Every domain maps every area; every area is pinned once while there is a domain. Every error leaves everything as it was.
// What is changed may be waited for, so the calling thread must not be inside a guard. No locking.
class AreaTable {
 public:
  // `within_host_pages`: no leaf is larger than the pages of the host behind it.
  explicit AreaTable(bool within_host_pages) : within_host_pages_(within_host_pages) {}
  AreaTable(AreaTable const&) = delete;
  AreaTable& operator=(AreaTable const&) = delete;

  [[nodiscard]] IntervalMap<UsedArea> const& areas() const { return areas_; }
  [[nodiscard]] IntervalMap<UsedArea>& areas() { return areas_; }
  [[nodiscard]] std::vector<std::shared_ptr<PagingDomain>> const& domains() const { return domains_; }

  // The domains' largest smallest page; at least that of the host if leaves are of that size.
  [[nodiscard]] std::uint64_t alignment() const;
  // Are leaves larger than the host's pages used for what is mapped from now on?
  [[nodiscard]] bool huge_pages() const { return huge_pages_; }
  void use_huge_pages(bool yes) { huge_pages_ = yes; }

  // EEXIST: meets another area; the errors of Pages::pin and PagingDomain::map; ENOMEM. May throw std::bad_alloc.
  Result<void> add(Area area);

  // Removes the areas in the range, which cuts none. Space between areas that is not reserved is unmapped with them, because one
  // unmapping of a domain, and one wait for DMA, is cheaper than many.
  void remove(Range iovas, IovaReservations const& reservations) noexcept;

  // Makes two areas of one; `last` is in it, not at its end, and a leaf ends there in every domain. ENOMEM.
  Result<void> split(IntervalMap<UsedArea>::Entry const& entry, std::uint64_t last);

  // Unmaps the areas of these pages, which are revoked, from all domains. The areas stay.
  void drop_leaves(Pages const& pages) noexcept;

  // The domain is none of domains(). The errors of Pages::pin and PagingDomain::map; ENOMEM. May throw std::bad_alloc.
  Result<void> attach(std::shared_ptr<PagingDomain> domain);

  // False: it is none of domains(). What the domain reserves must be reserved still.
  bool detach(PagingDomain const& domain, IovaReservations const& reservations) noexcept;

  // For memory that changes its place. Unmaps part of an area from all domains; returns how much, which may be more: whole pages
  // of the domains, and all of the area when there is no memory for less.
  Range suspend(Area const& area, Range part) noexcept;
  // Maps what suspend() has unmapped where the memory is now, as far as it is anywhere and there is memory for tables. Who keeps
  // track of what is written is told that all of it has been: what was known of that is lost.
  void resume(Area const& area, Range part) noexcept;

 private:
  template <class Visit>
  void for_each_run(Range iovas, IovaReservations const& reservations, Visit visit) const;

  [[nodiscard]] unsigned largest_leaf_lg2(PagingDomain const& domain, Area const& area) const;
  Result<void> install(PagingDomain& domain, Area const& area) const;

  bool const within_host_pages_;
  bool huge_pages_ = true;
  IntervalMap<UsedArea> areas_;
  std::vector<std::shared_ptr<PagingDomain>> domains_;
};

}  // namespace swiommu
