// Of IoAddressSpace: the domains, and what limits the iovas.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "domain/io_address_space_state.h"
#include "domain/undo.h"

namespace swiommu {
namespace {

// The inputs that a domain never translates, ascending.
std::vector<Range> outside(PagingDomain const& domain) {
  TableShape const& shape = domain.shape();
  std::array<std::optional<Range>, 2> inside{shape.lower, shape.upper};
  if (inside[1] && inside[1]->start < inside[0]->start) std::swap(inside[0], inside[1]);
  std::vector<Range> ranges;
  std::uint64_t next = 0;
  for (auto const& half : inside) {
    auto const usable = half ? half->intersection(domain.limits().aperture) : std::nullopt;
    if (!usable) continue;
    if (usable->start > next) ranges.push_back({next, usable->start - 1});
    if (usable->last == Range::all().last) return ranges;
    next = usable->last + 1;
  }
  ranges.push_back({next, Range::all().last});
  return ranges;
}

Result<void> check_aligned(IntervalMap<Area> const& areas, unsigned size_lg2) {
  for (auto const& [iovas, area] : areas) {
    std::uint64_t const ends = iovas.start | iovas.length() | area.pages->host_address(area.offset).value;
    if (!is_aligned(ends, size_lg2))
      return fail(EADDRINUSE, fmt::format("the mapping {:#x}-{:#x} is not aligned to the domain's pages of {:#x} bytes",
                                          iovas.start, iovas.last, bit(size_lg2)));
  }
  return {};
}

Result<void> check_free(IntervalMap<Area> const& areas, std::span<Range const> ranges) {
  for (Range const range : ranges) {
    if (auto const* const area = areas.first_overlap(range); area != nullptr && range.start <= range.last)
      return fail(EADDRINUSE, fmt::format("iovas {:#x}-{:#x} to reserve meet the mapping {:#x}-{:#x}", range.start, range.last,
                                          area->range.start, area->range.last));
  }
  return {};
}

}  // namespace

Result<void> IoAddressSpace::attach_domain(std::shared_ptr<PagingDomain> domain) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    if (!domain) return fail(EINVAL, "no domain to attach");
    Lock const lock(mutex_);
    auto& [table, reservations] = *state_;
    if (std::ranges::find(table.domains(), domain) != table.domains().end())
      return fail(EEXIST, "the domain is attached already");
    unsigned const page_lg2 = domain->shape().smallest_page_lg2();
    if (bit(page_lg2) > table.alignment()) SWIOMMU_TRY(check_aligned(table.areas(), page_lg2));
    auto const ranges = outside(*domain);
    SWIOMMU_TRY(check_free(table.areas(), ranges));
    SWIOMMU_TRY(reservations.reserve(ranges, domain.get()));
    Undo release([&] { reservations.release(domain.get()); });
    SWIOMMU_TRY(table.attach(domain));
    release.keep();
    return {};
  });
}

Result<void> IoAddressSpace::detach_domain(PagingDomain const& domain) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    auto& [table, reservations] = *state_;
    if (!table.detach(domain, reservations)) return fail(ENOENT, "the domain is not attached");
    reservations.release(&domain);
    return {};
  });
}

Result<void> IoAddressSpace::reserve(std::span<Range const> ranges, Owner owner) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    SWIOMMU_TRY(check_free(state_->table.areas(), ranges));
    return state_->reservations.reserve(ranges, owner);
  });
}

Result<void> IoAddressSpace::release(Owner owner) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    state_->reservations.release(owner);
    return {};
  });
}

Result<void> IoAddressSpace::allow(std::span<Range const> ranges) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    return state_->reservations.allow(ranges);
  });
}

Result<std::vector<Range>> IoAddressSpace::iova_ranges() const {
  return guarded([&]() -> Result<std::vector<Range>> {
    SWIOMMU_TRY(refuse_inside_guard());
    SharedLock const lock(mutex_);
    return state_->reservations.usable();
  });
}

Result<std::uint64_t> IoAddressSpace::alignment() const {
  return guarded([&]() -> Result<std::uint64_t> {
    SWIOMMU_TRY(refuse_inside_guard());
    SharedLock const lock(mutex_);
    return state_->table.alignment();
  });
}

Result<std::vector<Area>> IoAddressSpace::areas(Range iovas) const {
  return guarded([&]() -> Result<std::vector<Area>> {
    SWIOMMU_TRY(refuse_inside_guard());
    SWIOMMU_TRY(check_order(iovas));
    SharedLock const lock(mutex_);
    std::vector<Area> found;
    for (auto const& entry : state_->table.areas().overlapping(iovas)) found.push_back(entry.value);
    return found;
  });
}

}  // namespace swiommu
