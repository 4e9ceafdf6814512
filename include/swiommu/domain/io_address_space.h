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
// Lock order: the address space's mutex, then those of Pages and domains. Of two address spaces nobody holds both, but for
// moves of memory (relocations.h).
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

// How far unmapping came.
struct Unmapped {
  std::uint64_t bytes = 0;  // that are unmapped, also if it did not end well
  Result<void> done;
};

class SoftwareAccess;

class IoAddressSpace : public Pages::Listener, public std::enable_shared_from_this<IoAddressSpace> {
 public:
  struct Options {
    // No leaf is larger than the pages that the host's memory consists of (Backing::page_size_lg2()): how a machine looks in
    // whose memory no two pages are neighbours.
    bool within_host_pages = false;
  };

  // Who reserved a range: an address that is only compared. Domains that are attached are owners themselves.
  using Owner = void const*;

  // An empty one, with no domain attached. ENOMEM.
  static Result<std::shared_ptr<IoAddressSpace>> create(Options options);
  static Result<std::shared_ptr<IoAddressSpace>> create() { return create(Options{}); }

  // Detaches all domains. Not inside a guard.
  ~IoAddressSpace() override;
  IoAddressSpace(IoAddressSpace const&) = delete;
  IoAddressSpace& operator=(IoAddressSpace const&) = delete;

  // Maps the memory at `iova`, which need not be in an allowed range.
  // ERANGE: the slice leaves the backing. EINVAL: no memory; length or iova is no multiple of alignment(). EOVERFLOW: leaves the
  // 64-bit space. EINVAL: meets a reserved range. EEXIST: meets an area. EPERM: writes to memory that is not writable. EINVAL:
  // the memory is not aligned. They are found in this order, which is Linux'. With a domain attached also the errors of
  // Pages::pin and PagingDomain::map, EINVAL for neither read nor write among them. ENOMEM. EDEADLK.
  Result<void> map(Iova iova, PagesSlice const& memory, Attributes attributes);

  // The same at the lowest free place that Linux would choose: never in the first or last 4 KiB of the 64-bit space, inside the
  // allowed ranges, if there are any, as well aligned as the memory's address (Pages::origin()) up to 2 MiB, but no better than
  // the length rounded up to a power of two, and at the same place in a page of 4 KiB.
  // Errors as above; EINVAL: the address is less well aligned than alignment(); ENOSPC: no room. EOVERFLOW: the length is half
  // of the 64-bit space or more.
  Result<Iova> map_anywhere(PagesSlice const& memory, Attributes attributes);

  // The same with slices in a row, each of which becomes an area. None: EINVAL.
  Result<void> map(Iova iova, std::span<PagesSlice const> row, Attributes attributes);
  Result<Iova> map_anywhere(std::span<PagesSlice const> row, Attributes attributes);

  // Maps the memory behind the iovas `source` of `from` (this one or another) here as well: pages are pinned and charged
  // once. `source` may be part of an area or of several that adjoin; the copy has as many. Rights are those asked for, as far
  // as the memory has them. Areas that go in `from` meanwhile stay usable here. Errors as above; ENOENT: part of `source` is
  // not mapped.
  Result<void> copy(IoAddressSpace const& from, Range source, Iova to, Attributes attributes);
  Result<Iova> copy_anywhere(IoAddressSpace const& from, Range source, Attributes attributes);

  // Unmaps all areas in the range, from all domains; holes are passed over. When the call returns, no DMA uses them, and
  // memory that nobody else has pinned is released. Returns the bytes that were mapped (0: the whole 64-bit space).
  // Software that has pinned memory is asked to let it go, with no lock held: what others do meanwhile may make the rest of
  // the call fail. ENOENT: no area in the range, or the range holds only part of one. EBUSY: software has locked one. EINVAL:
  // ends before it starts. EDEADLK: also if software that was asked a hundred times has not let go.
  Result<std::uint64_t> unmap(Range iovas);
  // The same with all areas, of which there may be none; and area by area, as below. EBUSY; EDEADLK.
  Result<std::uint64_t> unmap_all();
  // The same area by area in ascending order, as Linux does it: what was unmapped before an error stays unmapped. Having found
  // nothing to unmap is no error.
  Unmapped unmap_in_order(Range iovas);

  // Makes each of the addresses the last one of an area, if it is within one, by cutting that in two: one after another, and
  // those before an error stay. An address that is the first of an area does nothing. EBUSY: is being unmapped. EOPNOTSUPP: is a
  // device's buffer. EINVAL: not aligned; pinned by software; may have large leaves. ENOMEM. EDEADLK.
  Result<void> cut(std::span<std::uint64_t const> lasts);

  // May what is mapped from now on have leaves larger than 4 KiB? At first, yes. Where not, everything must be aligned to 4 KiB.
  // For no: EINVAL: something is mapped in a domain; EADDRINUSE: an area is not aligned. EDEADLK.
  Result<void> allow_huge_pages(bool yes);
  [[nodiscard]] bool huge_pages() const;

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

  // What iovas, lengths and host addresses must be multiples of: the largest of the domains' smallest pages; at least 4 KiB
  // without huge pages or where software that pins is attached; otherwise, without domains, 1. EDEADLK.
  [[nodiscard]] Result<std::uint64_t> alignment() const;

  // The areas that overlap the range, whole, in ascending order. ENOMEM. EDEADLK.
  [[nodiscard]] Result<std::vector<Area>> areas(Range iovas) const;

  // The part of the range in front of the first hole; nothing if the range begins with one. EINVAL; EDEADLK.
  [[nodiscard]] Result<std::optional<Range>> mapped_part(Range iovas) const;

  // PagingDomain::read_dirty of an attached domain, for mapped_part(iovas), while nothing is mapped or unmapped. `report` calls
  // nothing of this address space. EINVAL; EDEADLK; the errors of PagingDomain::read_dirty.
  Result<void> read_dirty(PagingDomain& domain, Range iovas, Clear clear, FunctionRef<void(Range)> report) const;

  // The memory behind the iovas: a slice for each area. ENOENT: they are not all mapped. EINVAL; ENOMEM; EDEADLK.
  [[nodiscard]] Result<std::vector<PagesSlice>> memory_behind(Range iovas) const;

  // Log2s of the sizes of leaves that all attached domains have, as a mask; all ones without domains. EDEADLK.
  [[nodiscard]] Result<std::uint64_t> page_sizes() const;

 private:
  friend class Relocations;
  friend class SoftwareAccess;
  struct State;
  explicit IoAddressSpace(std::unique_ptr<State> state);

  Result<Iova> add(std::optional<Iova> at, std::span<PagesSlice const> memory, Attributes attributes);
  Unmapped unmap_in_order(Range iovas, bool all_or_none);

  // For SoftwareAccess, as it documents them. The number is what it is known by from then on.
  Result<std::uint64_t> join(std::weak_ptr<SoftwareAccess> access, bool pins);
  void leave(std::uint64_t number) noexcept;
  Result<std::vector<PagesSlice>> pin(Range iovas, bool write, bool lock);
  void unpin(Range iovas, bool lock) noexcept;
  Result<void> read(Range iovas, std::byte* to) const;
  Result<void> write(Range iovas, std::byte const* from) const;
  void tell_unmapping(Range iovas) const;
  void on_revoked(Pages const& pages) noexcept override;

  mutable SharedMutex mutex_;
  std::unique_ptr<State> const state_ SWIOMMU_POINTEE_GUARDED_BY(mutex_);
};

}  // namespace swiommu
