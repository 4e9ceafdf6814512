// Of IoAddressSpace: software that uses memory through it.
#include <fmt/format.h>

#include "domain/io_address_space_state.h"
#include "domain/undo.h"
#include "swiommu/memory/safe_copy.h"

namespace swiommu {
namespace {

// Part of an area.
struct Piece {
  UsedArea* area;
  Range iovas;

  [[nodiscard]] std::uint64_t offset() const { return area->offset + (iovas.start - area->iovas.start); }
  // The pages that hold a byte of it.
  [[nodiscard]] Range pages() const {
    std::uint64_t const first = area->pages->backing().page_offset() + offset();
    return {first >> host_page_lg2, (first + (iovas.last - iovas.start)) >> host_page_lg2};
  }
  [[nodiscard]] std::unexpected<Error> refuse(int code, char const* why) const {
    return fail(code, fmt::format("iovas {:#x}-{:#x}, in the area mapped from {}: {}", iovas.start, iovas.last,
                                  area->pages->origin().describe(area->offset), why));
  }
};

// Calls `visit(Piece) -> Result<void>` for the range from its start on, area by area, until one fails. ENOENT: at the first hole.
template <class Visit>
Result<void> for_each_piece(IntervalMap<UsedArea>& areas, Range iovas, Visit visit) {
  std::uint64_t next = iovas.start;
  for (auto& entry : areas.overlapping(iovas)) {
    Range const part = *entry.range.intersection(iovas);
    if (part.start != next) break;
    SWIOMMU_TRY(visit(Piece{&entry.value, part}));
    if (part.last == iovas.last) return {};
    next = part.last + 1;
  }
  return fail(ENOENT,
              fmt::format("iovas {:#x}-{:#x} are not mapped, or not all of them: not {:#x}", iovas.start, iovas.last, next));
}

Result<void> check_rights(Piece const& piece, bool write) {
  Access const rights = piece.area->attributes.access;
  if (write ? !rights.write : !rights.read)
    return piece.refuse(EPERM, write ? "mapped without the right to write" : "mapped without the right to read");
  return {};
}

// What the memory itself forbids.
Result<void> check_memory(Piece const& piece, bool write) {
  if (write && !piece.area->pages->backing().writable()) return piece.refuse(EPERM, "the memory is not writable");
  if (piece.area->pages->origin().kind == Origin::Kind::device) return piece.refuse(EINVAL, "a device's buffer is no memory");
  return {};
}

// `up_to_the_end`: another area follows in the range.
Result<void> check_whole_pages(Piece const& piece, bool up_to_the_end) {
  std::uint64_t const first = piece.area->pages->backing().page_offset() + piece.offset();
  if (first & (host_page_size - 1)) return piece.refuse(EINVAL, "does not begin with a page of memory");
  if (up_to_the_end && ((first + piece.iovas.length()) & (host_page_size - 1)))
    return piece.refuse(EINVAL, "does not end with a page of memory, and another area follows");
  return {};
}

void release_pins(IntervalMap<UsedArea>& areas, Range iovas, bool lock_areas) noexcept {
  for (auto& entry : areas.overlapping(iovas)) {
    Piece const piece{&entry.value, *entry.range.intersection(iovas)};
    Range const pages = piece.pages();
    piece.area->pages->unpin(pages.start, pages.last);
    piece.area->accesses--;
    piece.area->locks -= lock_areas;
  }
}

// `copy(pointer, iova, length) -> bool`.
template <class Copy>
Result<void> copy_pieces(IntervalMap<UsedArea>& areas, Range iovas, bool write, Copy copy) {
  return for_each_piece(areas, iovas, [&](Piece const& piece) -> Result<void> {
    if (piece.area->leaving) return piece.refuse(EINVAL, "being unmapped");
    SWIOMMU_TRY(check_rights(piece, write));
    SWIOMMU_TRY(check_memory(piece, write));
    Pages& pages = *piece.area->pages;
    Range const held = piece.pages();
    bool const pin = !pages.backing().in_place();
    if (pin) SWIOMMU_TRY(pages.pin(held.start, held.last));
    bool const copied = copy(pages.backing().pointer(piece.offset()), piece.iovas.start, piece.iovas.length());
    if (pin) pages.unpin(held.start, held.last);
    if (!copied) return piece.refuse(EFAULT, write ? "the memory cannot be written to" : "the memory cannot be read");
    return {};
  });
}

}  // namespace

Result<std::uint64_t> IoAddressSpace::join(std::weak_ptr<SoftwareAccess> access, bool pins) {
  return guarded([&]() -> Result<std::uint64_t> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    if (pins && host_page_size > state_->alignment()) SWIOMMU_TRY(state_->check_aligned(host_page_size));
    state_->accesses.emplace(state_->next_access, State::Attached{std::move(access), pins});
    return state_->next_access++;
  });
}

void IoAddressSpace::leave(std::uint64_t number) noexcept {
  Lock const lock(mutex_);
  state_->accesses.erase(number);
}

Result<std::vector<PagesSlice>> IoAddressSpace::pin(Range iovas, bool write, bool lock_areas) {
  return guarded([&]() -> Result<std::vector<PagesSlice>> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    auto& areas = state_->table.areas();
    std::vector<PagesSlice> slices;
    std::uint64_t next = iovas.start;  // of which all below in the range is pinned
    Undo back([&] {
      if (next != iovas.start) release_pins(areas, {iovas.start, next - 1}, lock_areas);
    });
    auto done = for_each_piece(areas, iovas, [&](Piece const& piece) -> Result<void> {
      if (piece.area->leaving) return piece.refuse(EINVAL, "being unmapped");
      SWIOMMU_TRY(check_whole_pages(piece, piece.iovas.last != iovas.last));
      SWIOMMU_TRY(check_rights(piece, write));
      SWIOMMU_TRY(check_memory(piece, write));
      slices.push_back({piece.area->pages, piece.offset(), piece.iovas.length()});
      Range const pages = piece.pages();
      if (auto pinned = piece.area->pages->pin(pages.start, pages.last); !pinned)
        return piece.refuse(pinned.error().code, pinned.error().about.c_str());
      piece.area->accesses++;
      piece.area->locks += lock_areas;
      next = piece.iovas.last + 1;
      return {};
    });
    if (!done) return std::unexpected(std::move(done).error());
    back.keep();
    return slices;
  });
}

void IoAddressSpace::unpin(Range iovas, bool lock_areas) noexcept {
  Lock const lock(mutex_);
  release_pins(state_->table.areas(), iovas, lock_areas);
}

void IoAddressSpace::on_revoked(Pages const& pages) noexcept {
  Lock const lock(mutex_);
  state_->table.drop_leaves(pages);
}

Result<void> IoAddressSpace::read(Range iovas, std::byte* to) const {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    SharedLock const lock(mutex_);
    return copy_pieces(state_->table.areas(), iovas, false, [&](void* data, std::uint64_t iova, std::uint64_t length) {
      return copy_from_doubtful(data, {to + (iova - iovas.start), length});
    });
  });
}

Result<void> IoAddressSpace::write(Range iovas, std::byte const* from) const {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    SharedLock const lock(mutex_);
    return copy_pieces(state_->table.areas(), iovas, true, [&](void* data, std::uint64_t iova, std::uint64_t length) {
      return copy_to_doubtful(data, {from + (iova - iovas.start), length});
    });
  });
}

}  // namespace swiommu
