// Of IoAddressSpace: the domains, and what limits the iovas.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "domain/io_address_space_state.h"
#include "domain/undo.h"

namespace swiommu {
namespace {

// The part of the range in front of the first hole between areas; nothing if the hole comes first.
std::optional<Range> in_front_of_hole(AreaTable const& table, Range iovas) {
  std::optional<Range> part;
  for (auto const& entry : table.areas().overlapping(iovas)) {
    if (entry.range.start > (part ? part->last + 1 : iovas.start)) break;
    part = Range{iovas.start, std::min(iovas.last, entry.range.last)};
    if (part->last == iovas.last) break;
  }
  return part;
}

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

Result<void> check_free(IntervalMap<UsedArea> const& areas, std::span<Range const> ranges) {
  for (Range const range : ranges) {
    if (auto const* const area = areas.first_overlap(range); area != nullptr && range.start <= range.last)
      return fail(EADDRINUSE, fmt::format("iovas {:#x}-{:#x} to reserve meet the mapping {:#x}-{:#x}", range.start, range.last,
                                          area->range.start, area->range.last));
  }
  return {};
}

}  // namespace

std::uint64_t IoAddressSpace::State::alignment() const {
  bool const pins = std::ranges::any_of(accesses, [](auto const& each) { return each.second.pins; });
  return std::max(table.alignment(), pins ? host_page_size : 1);
}

Result<void> IoAddressSpace::State::check_aligned(std::uint64_t alignment) const {
  for (auto const& [iovas, area] : table.areas()) {
    std::uint64_t const ends = iovas.start | iovas.length() | area.pages->host_address(area.offset).value;
    if (ends & (alignment - 1))
      return fail(EADDRINUSE, fmt::format("the area {:#x}-{:#x} mapped from {} is not aligned to pages of {:#x} bytes",
                                          iovas.start, iovas.last, area.pages->origin().describe(area.offset), alignment));
  }
  return {};
}

Result<void> IoAddressSpace::attach_domain(std::shared_ptr<PagingDomain> domain) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    if (!domain) return fail(EINVAL, "no domain to attach");
    Lock const lock(mutex_);
    AreaTable& table = state_->table;
    IovaReservations& reservations = state_->reservations;
    if (std::ranges::find(table.domains(), domain) != table.domains().end())
      return fail(EEXIST, "the domain is attached already");
    std::uint64_t const smallest = bit(domain->shape().smallest_page_lg2());
    if (smallest > state_->alignment()) SWIOMMU_TRY(state_->check_aligned(smallest));
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
    if (!state_->table.detach(domain, state_->reservations)) return fail(ENOENT, "the domain is not attached");
    state_->reservations.release(&domain);
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
    return state_->alignment();
  });
}

Result<void> IoAddressSpace::allow_huge_pages(bool yes) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    AreaTable& table = state_->table;
    if (!yes && table.huge_pages()) {
      if (!table.domains().empty() && !table.areas().empty())
        return fail(EINVAL, "areas are mapped in a domain already, with leaves that may be large");
      if (host_page_size > state_->alignment()) SWIOMMU_TRY(state_->check_aligned(host_page_size));
    }
    table.use_huge_pages(yes);
    return {};
  });
}

bool IoAddressSpace::huge_pages() const {
  SharedLock const lock(mutex_);
  return state_->table.huge_pages();
}

Result<std::uint64_t> IoAddressSpace::page_sizes() const {
  return guarded([&]() -> Result<std::uint64_t> {
    SWIOMMU_TRY(refuse_inside_guard());
    SharedLock const lock(mutex_);
    std::uint64_t sizes = ~std::uint64_t{0};
    for (auto const& domain : state_->table.domains()) sizes &= domain->shape().page_sizes;
    return sizes;
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

Result<std::optional<Range>> IoAddressSpace::mapped_part(Range iovas) const {
  SWIOMMU_TRY(refuse_inside_guard());
  SWIOMMU_TRY(check_order(iovas));
  SharedLock const lock(mutex_);
  return in_front_of_hole(state_->table, iovas);
}

Result<void> IoAddressSpace::read_dirty(PagingDomain& domain, Range iovas, Clear clear, FunctionRef<void(Range)> report) const {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    SWIOMMU_TRY(check_order(iovas));
    SharedLock const lock(mutex_);
    auto const part = in_front_of_hole(state_->table, iovas);
    return part ? domain.read_dirty(*part, clear, report) : Result<void>();
  });
}

}  // namespace swiommu
