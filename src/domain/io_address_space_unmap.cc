// Of IoAddressSpace: what takes areas away, or cuts them.
#include <fmt/format.h>

#include "domain/io_address_space_state.h"
#include "domain/undo.h"

namespace swiommu {
namespace {

// Software that does not let go after so many calls never will; Linux' number.
constexpr unsigned most_tries = 100;

Result<void> may_go(Range iovas, UsedArea const& area) {
  auto const [start, last] = area.iovas;
  if (area.locks != 0) return fail(EBUSY, fmt::format("the area {:#x}-{:#x} is locked by a queue in it", start, last));
  if (!iovas.contains(area.iovas))
    return fail(ENOENT, fmt::format("iovas {:#x}-{:#x} hold only part of the area {:#x}-{:#x} mapped from {}", iovas.start,
                                    iovas.last, start, last, area.pages->origin().describe(area.offset)));
  return {};
}

}  // namespace

Result<void> IoAddressSpace::State::check_whole(Range iovas) const {
  for (auto const& entry : table.areas().overlapping(iovas)) SWIOMMU_TRY(may_go(iovas, entry.value));
  return {};
}

UnmapStop IoAddressSpace::State::remove_in_order(Range& iovas, std::uint64_t& bytes) {
  UnmapStop stop;
  std::optional<std::uint64_t> last;  // of the areas that can go
  for (auto& entry : table.areas().overlapping(iovas)) {
    UsedArea& area = entry.value;
    stop.done = may_go(iovas, area);
    if (!stop.done) break;
    if (area.accesses != 0) {
      area.leaving = true;
      stop.pinned = entry.range;
      break;
    }
    last = entry.range.last;
    bytes += entry.range.length();
  }
  if (last) {
    table.remove({iovas.start, *last}, reservations);
    if (*last < iovas.last) iovas.start = *last + 1;
  }
  // What is mapped below the area while nobody holds the lock is new, and stays.
  if (stop.pinned) iovas.start = stop.pinned->start;
  return stop;
}

// Without a lock: they unpin meanwhile.
void IoAddressSpace::tell_unmapping(Range iovas) const {
  for (std::uint64_t next = 0;;) {
    std::shared_ptr<SoftwareAccess> access;
    {
      SharedLock const lock(mutex_);
      auto at = state_->accesses.lower_bound(next);
      while (at != state_->accesses.end() && !(access = at->second.access.lock())) ++at;
      if (at == state_->accesses.end()) return;
      next = at->first + 1;
    }
    if (access->use_ != SoftwareAccess::Use::locks && access->unmapping_) access->unmapping_(iovas);
  }
}

Unmapped IoAddressSpace::unmap_in_order(Range iovas, bool all_or_none) {
  Unmapped result;
  result.done = guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    SWIOMMU_TRY(check_order(iovas));
    Range left = iovas;
    std::uint64_t previous = ~left.start;
    for (unsigned tries = 0;;) {
      UnmapStop stop;
      {
        Lock const lock(mutex_);
        if (all_or_none) SWIOMMU_TRY(state_->check_whole(left));
        stop = state_->remove_in_order(left, result.bytes);
      }
      if (!stop.pinned) return stop.done;
      tell_unmapping(*stop.pinned);
      tries = previous == stop.pinned->start ? tries + 1 : 1;
      previous = stop.pinned->start;
      if (tries <= most_tries) continue;
      Lock const lock(mutex_);
      if (auto* const stuck = state_->table.areas().find(stop.pinned->start)) stuck->value.leaving = false;
      return fail(EDEADLK, fmt::format("software that has pinned memory of the area {:#x}-{:#x} does not let it go",
                                       stop.pinned->start, stop.pinned->last));
    }
  });
  return result;
}

Unmapped IoAddressSpace::unmap_in_order(Range iovas) { return unmap_in_order(iovas, false); }

Result<std::uint64_t> IoAddressSpace::unmap(Range iovas) {
  return guarded([&]() -> Result<std::uint64_t> {
    SWIOMMU_TRY(refuse_inside_guard());
    SWIOMMU_TRY(check_order(iovas));
    {
      SharedLock const lock(mutex_);
      if (std::as_const(state_->table).areas().first_overlap(iovas) == nullptr)
        return fail(ENOENT, fmt::format("nothing is mapped at iovas {:#x}-{:#x}", iovas.start, iovas.last));
    }
    auto const unmapped = unmap_in_order(iovas, true);
    if (!unmapped.done) return std::unexpected(unmapped.done.error());
    return unmapped.bytes;
  });
}

Result<std::uint64_t> IoAddressSpace::unmap_all() {
  auto const unmapped = unmap_in_order(Range::all(), false);
  if (!unmapped.done) return std::unexpected(unmapped.done.error());
  return unmapped.bytes;
}

Result<void> IoAddressSpace::cut(std::span<std::uint64_t const> lasts) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    AreaTable& table = state_->table;
    for (std::uint64_t const last : lasts) {
      auto const* const entry = std::as_const(table).areas().find(last);
      if (entry == nullptr || last == entry->range.start || last == entry->range.last) continue;
      UsedArea const& area = entry->value;
      auto const refuse = [&](int code, char const* why) {
        return fail(code, fmt::format("the area {:#x}-{:#x} cannot be cut after {:#x}: {}", entry->range.start, entry->range.last,
                                      last, why));
      };
      if (area.leaving) return refuse(EBUSY, "it is being unmapped");
      if (area.pages->origin().kind == Origin::Kind::device) return refuse(EOPNOTSUPP, "it is a device's buffer");
      std::uint64_t const offset = area.pages->host_address(area.offset + (last + 1 - entry->range.start)).value;
      if (((last + 1) | offset) & (state_->alignment() - 1)) return refuse(EINVAL, "that is not aligned");
      if (area.accesses != 0) return refuse(EINVAL, "software has pinned some of it");
      if (!table.domains().empty() && table.huge_pages()) return refuse(EINVAL, "it may have large leaves");
      SWIOMMU_TRY(table.split(*entry, last));
    }
    return {};
  });
}

}  // namespace swiommu
