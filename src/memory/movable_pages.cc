#include "memory/movable_pages.h"

#include <algorithm>
#include <iterator>

namespace swiommu {

MovablePages::~MovablePages() {
  let_go();
  Lock const lock(mutex_);
  if (pieces_.empty()) space_.remove_range({home_.value, home_.value + (length_ - 1)}, writable_);
  for (auto piece = pieces_.begin(); piece != pieces_.end(); ++piece) drop(piece);
}

Range MovablePages::home_pointers() const {
  auto const start = reinterpret_cast<std::uintptr_t>(space_.pointer(home_));
  return {start, start + (length_ - 1)};
}

Result<> MovablePages::hold() {
  Lock const lock(mutex_);
  if (!held_) SWIOMMU_TRY(space_.pinned_places().add(home_pointers()));
  held_ = true;
  return {};
}

void MovablePages::let_go() noexcept {
  Lock const lock(mutex_);
  if (held_) space_.pinned_places().remove(home_pointers());
  held_ = false;
}

Range MovablePages::bytes(Range pages, HostAddress place) const {
  std::uint64_t const first = std::max(home_of(pages.start).value, home_.value);
  std::uint64_t const last = std::min(home_of(pages.last).value + (host_page_size - 1), home_.value + (length_ - 1));
  std::uint64_t const distance = place.value - home_of(pages.start).value;
  return {first + distance, last + distance};
}

MovablePages::Pieces::const_iterator MovablePages::find(std::uint64_t page) const { return std::prev(pieces_.upper_bound(page)); }

Row MovablePages::row(std::uint64_t offset) const {
  if (!moved_.load(std::memory_order_acquire)) return {home_ + offset, length_ - offset};
  if (lost_) return {home_ + offset, length_ - offset, false};
  std::uint64_t const at = offset + (home_.value & (host_page_size - 1));  // from the start of the first page
  Lock const lock(mutex_);
  auto const& [first, piece] = *find(at >> host_page_lg2);
  std::uint64_t const behind = std::min((piece.last + 1) << host_page_lg2, at - offset + length_);
  return {piece.place + (at - (first << host_page_lg2)), behind - at, !piece.gone};
}

void MovablePages::drop(Pieces::iterator piece) noexcept {
  if (!piece->second.gone) space_.remove_range(bytes({piece->first, piece->second.last}, piece->second.place), writable_);
  piece->second.gone = true;
  piece->second.place = home_of(piece->first);
  piece->second.keeper.reset();
}

Result<> MovablePages::cut_before(std::uint64_t page) {
  auto const whole = pieces_.upper_bound(page);
  if (whole == pieces_.begin()) return {};
  auto const& [first, piece] = *std::prev(whole);
  if (first == page || piece.last < page) return {};
  HostAddress const place = piece.place + ((page - first) << host_page_lg2);
  Range const lower{first, page - 1}, upper{page, piece.last};
  return guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS -> Result<> {
    auto& [start, old] = *std::prev(whole);
    auto const added = pieces_.emplace_hint(whole, page, Piece{upper.last, place, old.gone, old.keeper});
    auto registered = Result<>();
    if (!old.gone) {
      registered = space_.add_range(bytes(lower, old.place), writable_);
      if (registered) {
        registered = space_.add_range(bytes(upper, place), writable_);
        if (!registered) space_.remove_range(bytes(lower, old.place), writable_);
      }
    }
    if (!registered) return pieces_.erase(added), registered;
    if (!old.gone) space_.remove_range(bytes({start, upper.last}, old.place), writable_);
    old.last = lower.last;
    return {};
  });
}

Result<> MovablePages::separate_locked(Range pages) {
  if (pieces_.empty()) {
    SWIOMMU_TRY(guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS -> Result<> {
      std::uint64_t const last = ((home_.value & (host_page_size - 1)) + (length_ - 1)) >> host_page_lg2;
      return pieces_.emplace(0, Piece{.last = last, .place = home_of(0), .gone = false, .keeper = nullptr}), Result<>();
    }));
    moved_.store(true, std::memory_order_release);
  }
  SWIOMMU_TRY(cut_before(pages.start));
  return cut_before(pages.last + 1);
}

Result<> MovablePages::separate(Range pages) {
  Lock const lock(mutex_);
  return separate_locked(pages);
}

Result<> MovablePages::bring_home(Range pages) {
  if (!moved_.load(std::memory_order_acquire)) return {};
  Lock const lock(mutex_);
  SWIOMMU_TRY(separate_locked(pages));
  lost_ = false;
  for (auto piece = pieces_.find(pages.start); piece != pieces_.end() && piece->first <= pages.last; ++piece) {
    auto& [first, what] = *piece;
    if (!what.gone && !what.keeper) continue;
    drop(piece);
    SWIOMMU_TRY(space_.add_range(bytes({first, what.last}, what.place), writable_));
    what.gone = false;
  }
  return {};
}

void MovablePages::forget(Range pages) noexcept {
  if (!moved_.load(std::memory_order_acquire)) return;
  Lock const lock(mutex_);
  if (pieces_.empty()) return;
  auto piece = pieces_.upper_bound(pages.start);
  for (--piece; piece != pieces_.end() && piece->first <= pages.last; ++piece) {
    if (!piece->second.keeper) continue;
    if (!pages.contains({piece->first, piece->second.last})) {
      Range const part = *pages.intersection({piece->first, piece->second.last});
      if (!separate_locked(part)) continue;
      piece = pieces_.find(part.start);
    }
    drop(piece);
  }
}

void MovablePages::for_each_in(Range host, FunctionRef<void(Range, Range)> visit) const {
  auto const clipped = [&](Range pages, HostAddress place) {
    auto const part = Range{place.value, place.value + (pages.length() << host_page_lg2) - 1}.intersection(host);
    if (!part) return;
    std::uint64_t const first = pages.start + ((part->start - place.value) >> host_page_lg2);
    visit({first, pages.start + ((part->last - place.value) >> host_page_lg2)}, *part);
  };
  Lock const lock(mutex_);
  if (pieces_.empty()) {
    clipped({0, ((home_.value & (host_page_size - 1)) + (length_ - 1)) >> host_page_lg2}, home_of(0));
    return;
  }
  for (auto const& [first, piece] : pieces_)
    if (!piece.gone) clipped({first, piece.last}, piece.place);
}

void MovablePages::take_away(Range pages) noexcept {
  Lock const lock(mutex_);
  if (pieces_.empty()) {
    lost_ = true;
    moved_.store(true, std::memory_order_release);
    return;
  }
  for (auto piece = std::prev(pieces_.upper_bound(pages.start)); piece != pieces_.end() && piece->first <= pages.last; ++piece)
    drop(piece);
}

Result<> MovablePages::put(Range pages, HostAddress place, std::shared_ptr<void const> const& keeper) {
  Lock const lock(mutex_);
  for (auto piece = pieces_.find(pages.start); piece != pieces_.end() && piece->first <= pages.last; ++piece) {
    auto& [first, what] = *piece;
    what.place = place + ((first - pages.start) << host_page_lg2);
    SWIOMMU_TRY(space_.add_range(bytes({first, what.last}, what.place), writable_));
    what.gone = false;
    what.keeper = keeper;
  }
  return {};
}

}  // namespace swiommu
