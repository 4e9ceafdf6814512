// An I/O address space: which memory is mapped at which iovas, kept in step with any number of paging domains.
//
//   area               one mapped range: iovas, the slice of Pages behind them, attributes
//   reserved ranges    iovas that nobody maps: outside a domain's aperture, a device's doorbells; each has an owner
//   allowed ranges     if there are any, iovas are allocated inside them only
//
// Every attached domain maps every area. Memory is pinned while at least one domain is attached, each page once however many
// domains, areas and copies use it, and not looked at before that. On every error nothing has changed: no area, no mapping
// in any domain, no pin, no charge, no reserved range.
//
// Threads: any. Every call fails with EDEADLK, and does nothing, on a thread that is inside a guard: it might wait for the end
// of that guard, or for somebody who does. Changes take turns, faulting memory in included; DMA takes no part in that.
// Lock order: the address space's mutex, then those of Pages and domains. Of two address spaces never both are held.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "swiommu/base/address.h"
#include "swiommu/base/mutex.h"
#include "swiommu/base/range.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/memory/pinned_pages.h"

namespace swiommu {

// Memory in a row: `length` bytes from byte `offset` of the pages' backing. Need not be page aligned.
struct PagesSlice {
  std::shared_ptr<Pages> pages;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

struct Area {
  Range iovas;
  std::shared_ptr<Pages> pages;
  std::uint64_t offset = 0;  // of the byte behind iovas.start, in the pages' backing
  Attributes attributes;
};

class IoAddressSpace {
 public:
  // Who reserved a range: an address that is only compared. Domains that are attached are owners themselves.
  using Owner = void const*;

  // An empty one, with no domain attached. ENOMEM.
  static Result<std::shared_ptr<IoAddressSpace>> create();

  // Detaches all domains. Not inside a guard.
  ~IoAddressSpace();
  IoAddressSpace(IoAddressSpace const&) = delete;
  IoAddressSpace& operator=(IoAddressSpace const&) = delete;

  // Maps the memory at `iova`, which need not be in an allowed range.
  // EINVAL: no memory, or neither read nor write; iova, length or host address is no multiple of alignment(); meets a reserved
  // range. EEXIST: meets an area. EOVERFLOW: leaves the 64-bit space. EPERM: writes to memory that is not writable. ERANGE:
  // the slice leaves the backing. With a domain attached also the errors of Pages::pin and PagingDomain::map. ENOMEM. EDEADLK.
  Result<void> map(Iova iova, PagesSlice const& memory, Attributes attributes);

  // The same at the lowest free place, never the first or last 4 KiB of the 64-bit space: inside the allowed ranges, if there
  // are any, and, as far as there is room, congruent to the host address modulo the largest of 4 KiB, 2 MiB and 1 GiB that
  // the length fills, so that large leaves are possible, or modulo the length rounded up to a power of two below 2 MiB.
  // Errors as above; ENOSPC: no room. EOVERFLOW: the length is half of the 64-bit space or more.
  Result<Iova> map_anywhere(PagesSlice const& memory, Attributes attributes);

  // Maps the memory behind the iovas `source` of `from` (this one or another) here as well: pages are pinned and charged
  // once. `source` may be part of an area or of several that adjoin; the copy has as many. Rights are those asked for, as far
  // as the memory has them. Areas that go in `from` meanwhile stay usable here. Errors as above; ENOENT: part of `source` is
  // not mapped.
  Result<void> copy(IoAddressSpace const& from, Range source, Iova to, Attributes attributes);
  Result<Iova> copy_anywhere(IoAddressSpace const& from, Range source, Attributes attributes);

  // Unmaps all areas in the range, from all domains; holes are passed over. When the call returns, no DMA uses them, and
  // memory that nobody else has pinned is released. Returns the bytes that were mapped (0: the whole 64-bit space).
  // ENOENT: no area in the range, or the range holds only part of one. EINVAL: ends before it starts. EDEADLK.
  Result<std::uint64_t> unmap(Range iovas);
  // The same with all areas, of which there may be none. EDEADLK.
  Result<std::uint64_t> unmap_all();

  // Maps all areas in the domain, and from then on what comes; inputs beyond its table and aperture are reserved. The host of
  // the domain must be that of the memory. While attached, nobody else maps anything in it except in reserved ranges.
  // EEXIST: attached already, or something is mapped in it where an area is; EADDRINUSE: an area is not aligned to the
  // domain's smallest page, or an area or allowed range is beyond its inputs; the errors of Pages::pin and PagingDomain::map;
  // EINVAL: no domain; ENOMEM; EDEADLK.
  Result<void> attach_domain(std::shared_ptr<PagingDomain> domain);

  // Unmaps all areas from the domain. With the last one all memory is unpinned. Never fails but for ENOENT: not attached;
  // EDEADLK.
  Result<void> detach_domain(PagingDomain const& domain);

  // Reserves all of the ranges or none. They may overlap other reserved ranges. EADDRINUSE: one meets an area or an allowed
  // range. EINVAL: one ends before it starts. ENOMEM. EDEADLK.
  Result<void> reserve(std::span<Range const> ranges, Owner owner);
  // Takes back all that `owner` reserved; fails with EDEADLK only.
  Result<void> release(Owner owner);

  // Replaces the allowed ranges; an empty list allows everything. Areas may lie outside. EADDRINUSE: one meets a reserved range.
  // EINVAL: one ends before it starts, or overlaps another of the list. ENOMEM. EDEADLK.
  Result<void> allow(std::span<Range const> ranges);

  // The iovas that are not reserved, in ascending order, whether mapped or not. ENOMEM. EDEADLK.
  [[nodiscard]] Result<std::vector<Range>> iova_ranges() const;

  // What iovas, lengths and host addresses must be multiples of: the largest of the domains' smallest pages, 1 without domains.
  // EDEADLK.
  [[nodiscard]] Result<std::uint64_t> alignment() const;

  // The areas that overlap the range, whole, in ascending order. ENOMEM. EDEADLK.
  [[nodiscard]] Result<std::vector<Area>> areas(Range iovas) const;

 private:
  struct State;
  explicit IoAddressSpace(std::unique_ptr<State> state);

  Result<Iova> add(std::optional<Iova> at, std::span<PagesSlice const> memory, Attributes attributes);
  [[nodiscard]] Result<std::vector<PagesSlice>> memory_behind(Range iovas) const;

  mutable SharedMutex mutex_;
  std::unique_ptr<State> const state_ SWIOMMU_POINTEE_GUARDED_BY(mutex_);
};

}  // namespace swiommu
