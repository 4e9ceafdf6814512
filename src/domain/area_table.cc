#include "domain/area_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <new>

#include "base/sabotage.h"
#include "domain/undo.h"

namespace swiommu {
namespace {

// The error of a step, with the area that it was done for.
Result<void> about(Area const& area, Result<void> done) {
  if (done) return done;
  return fail(done.error().code, fmt::format("iovas {:#x}-{:#x}, memory from {}: {}", area.iovas.start, area.iovas.last,
                                             area.pages->origin().describe(area.offset), done.error().about));
}

// The pages that hold at least one byte of the area.
Range pages_of(Area const& area) {
  std::uint64_t const first = area.pages->backing().page_offset() + area.offset;
  return {first >> host_page_lg2, (first + (area.iovas.last - area.iovas.start)) >> host_page_lg2};
}

Result<void> pin(Area const& area) {
  Range const pages = pages_of(area);
  return about(area, area.pages->pin(pages.start, pages.last));
}

void unpin(Area const& area) noexcept {
  Range const pages = pages_of(area);
  if (sabotaged("pin-leaked")) {
    new (std::nothrow) std::shared_ptr<Pages>(area.pages);  // else they would be unpinned with their last user
    return;
  }
  area.pages->unpin(pages.start, pages.last);
}

// Cannot fail: nobody here is inside a guard, and the range holds whole mappings only, whose entries nobody else is in.
void uninstall(PagingDomain& domain, Range iovas) noexcept {
  if (sabotaged("unmap-skipped")) return;
  [[maybe_unused]] auto const unmapped = domain.unmap(iovas);
  assert(unmapped);
}

// Calls `visit(iovas, row)` for each row of host addresses behind part of an area, until one fails.
template <class Visit>
Result<void> for_each_row(Area const& area, Range part, Visit visit) {
  for (std::uint64_t at = part.start;;) {
    Row const row = area.pages->backing().row(area.offset + (at - area.iovas.start));
    std::uint64_t const last = at + std::min(row.length - 1, part.last - at);
    if (row.there) SWIOMMU_TRY(visit(Range{at, last}, row.address));
    if (last == part.last) return {};
    at = last + 1;
  }
}

std::uint64_t smallest_page(PagingDomain const& domain) { return bit(domain.shape().smallest_page_lg2()); }

}  // namespace

std::uint64_t AreaTable::alignment() const {
  std::uint64_t most = huge_pages_ ? 1 : host_page_size;
  for (auto const& domain : domains_) most = std::max(most, smallest_page(*domain));
  return most;
}

unsigned AreaTable::largest_leaf_lg2(PagingDomain const& domain, Area const& area) const {
  unsigned largest = PageTable::any_leaf;
  if (within_host_pages_) largest = area.pages->backing().page_size_lg2();
  if (!huge_pages_) largest = host_page_lg2;
  return std::max(largest, domain.shape().smallest_page_lg2());
}

// In one mapping, unless memory has moved. What has been lost is left out.
Result<void> AreaTable::install(PagingDomain& domain, Area const& area) const {
  if (area.pages->revoked()) return {};  // by its owner: the area is there, and nothing is behind it
  unsigned const largest = largest_leaf_lg2(domain, area);
  std::optional<Range> done;
  auto const installed = for_each_row(area, area.iovas, [&](Range iovas, HostAddress address) -> Result<void> {
    if (sabotaged("wrong-page-mapped")) address = address + host_page_size;
    SWIOMMU_TRY(domain.map(iovas, address, area.attributes, largest));
    done = {area.iovas.start, iovas.last};
    return {};
  });
  if (!installed && done) uninstall(domain, *done);
  return about(area, installed);
}

// Visits the areas in runs, joined across space that nobody has reserved: only there may a domain map something that is no area.
template <class Visit>
void AreaTable::for_each_run(Range iovas, IovaReservations const& reservations, Visit visit) const {
  std::optional<Range> run;
  for (auto const& entry : areas_.overlapping(iovas)) {
    if (run && (run->last + 1 == entry.range.start || !reservations.reserved({run->last + 1, entry.range.start - 1}))) {
      run->last = entry.range.last;
      continue;
    }
    if (run) visit(*run);
    run = entry.range;
  }
  if (run) visit(*run);
}

Result<void> AreaTable::add(Area area) {
  Range const iovas = area.iovas;
  auto const entry = areas_.insert(iovas, UsedArea{std::move(area)});
  if (!entry) return std::unexpected(entry.error());
  Undo forget([&] { areas_.erase(**entry); });
  if (!domains_.empty()) {
    Area const& added = (*entry)->value;
    SWIOMMU_TRY(pin(added));
    Undo release([&] { unpin(added); });
    std::size_t installed = 0;
    Undo unmap([&] {
      while (installed > 0) uninstall(*domains_[--installed], iovas);
    });
    for (; installed < domains_.size(); ++installed) SWIOMMU_TRY(install(*domains_[installed], added));
    unmap.keep();
    release.keep();
  }
  forget.keep();
  return {};
}

Result<void> AreaTable::split(IntervalMap<UsedArea>::Entry const& entry, std::uint64_t last) {
  Area const& whole = entry.value;
  UsedArea lower{whole}, higher{whole};
  lower.iovas.last = last;
  higher.iovas.start = last + 1;
  higher.offset += last + 1 - entry.range.start;
  Area const low = lower, high = higher, both = whole;
  std::size_t pinned = 0;
  Undo back([&] {
    if (pinned > 0) unpin(low);
    if (pinned > 1) unpin(high);
  });
  if (!domains_.empty()) {
    for (Area const* part : {&low, &high}) {
      SWIOMMU_TRY(pin(*part));
      ++pinned;
    }
  }
  SWIOMMU_TRY(areas_.split(entry, last, std::move(lower), std::move(higher)));
  back.keep();
  if (!domains_.empty()) unpin(both);
  return {};
}

void AreaTable::drop_leaves(Pages const& pages) noexcept {
  for (auto const& entry : areas_) {
    if (entry.value.pages.get() != &pages) continue;
    for (auto const& domain : domains_) uninstall(*domain, entry.range);
  }
}

void AreaTable::remove(Range iovas, IovaReservations const& reservations) noexcept {
  for (auto const& domain : domains_) for_each_run(iovas, reservations, [&](Range run) { uninstall(*domain, run); });
  // No DMA is on its way to this memory any more.
  for (auto* entry = areas_.first_overlap(iovas); entry != nullptr && entry->range.start <= iovas.last;) {
    if (!domains_.empty()) unpin(entry->value);
    entry = areas_.erase(*entry);
  }
}

Result<void> AreaTable::attach(std::shared_ptr<PagingDomain> domain) {
  domains_.reserve(domains_.size() + 1);
  bool const first = domains_.empty();
  std::size_t pinned = 0, installed = 0;  // the lowest areas
  Undo back([&] {
    for (auto const& entry : areas_) {
      if (installed == 0 && pinned == 0) break;
      if (installed > 0) uninstall(*domain, entry.range), --installed;
      if (pinned > 0) unpin(entry.value), --pinned;
    }
  });
  for (auto const& entry : areas_) {
    if (first) {
      SWIOMMU_TRY(pin(entry.value));
      ++pinned;
    }
    SWIOMMU_TRY(install(*domain, entry.value));
    ++installed;
  }
  back.keep();
  domains_.push_back(std::move(domain));
  return {};
}

bool AreaTable::detach(PagingDomain const& domain, IovaReservations const& reservations) noexcept {
  auto const at = std::ranges::find(domains_, &domain, &std::shared_ptr<PagingDomain>::get);
  if (at == domains_.end()) return false;
  std::shared_ptr<PagingDomain> const leaving = std::move(*at);
  domains_.erase(at);
  for_each_run(Range::all(), reservations, [&](Range run) { uninstall(*leaving, run); });
  if (domains_.empty()) {
    for (auto const& entry : areas_) unpin(entry.value);
  }
  return true;
}

Range AreaTable::suspend(Area const& area, Range part) noexcept {
  Range const whole{align_down(part.start, log2_floor(alignment())), part.last | (alignment() - 1)};
  Range done = *whole.intersection(area.iovas);
  for (auto const& domain : domains_) {
    if (done == area.iovas || domain->unmap(done, Cut::split)) continue;
    done = area.iovas;
  }
  if (done == area.iovas) {
    for (auto const& domain : domains_) uninstall(*domain, done);
  }
  return done;
}

void AreaTable::resume(Area const& area, Range part) noexcept {
  if (area.pages->revoked()) return;
  bool const writable = area.attributes.access.write;
  for (auto const& domain : domains_) {
    (void)for_each_row(area, part, [&](Range iovas, HostAddress address) -> Result<void> {
      if (!domain->map(iovas, address, area.attributes, largest_leaf_lg2(*domain, area)) || !writable ||
          !domain->shape().tracks_dirty)
        return {};
      domain->visit(iovas, [&](Leaf const& leaf) {
        (void)domain->translate(leaf.range.start, Access::writing(), Update::yes);
        return true;
      });
      return {};
    });
  }
}

}  // namespace swiommu
