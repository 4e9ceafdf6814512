// Where the pages of a user's memory are: at home, where the user has mapped them; away, because the user took that mapping away
// while they were pinned; or gone.
#pragma once
#include <atomic>
#include <map>
#include <memory>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/mutex.h"
#include "swiommu/memory/backing.h"
#include "swiommu/memory/host_address_space.h"

namespace swiommu {

// All pages are at home at first. Ranges are of pages, counted from the one with the first byte. Keeps its memory registered in
// the host address space, but for what is gone. Any thread may call; what moves pages is called by one at a time, while
// nobody pins or unpins them.
class MovablePages {
 public:
  // `length` bytes at `home`, which are registered already and become this object's to unregister.
  MovablePages(HostAddressSpace& space, HostAddress home, std::uint64_t length, bool writable)
      : space_(space), home_(home), length_(length), writable_(writable) {}
  ~MovablePages();
  MovablePages(MovablePages const&) = delete;
  MovablePages& operator=(MovablePages const&) = delete;

  // Pages go away only if they are pinned, and while somebody has pinned some of these, their home is known as a pinned place.
  // For the first pin and the last. ENOMEM.
  Result<> hold();
  void let_go() noexcept;

  [[nodiscard]] Row row(std::uint64_t offset) const;

  // Nobody has pinned these pages any more, or not yet: brings those home that are not, for others to use. ENOMEM.
  Result<> bring_home(Range pages);
  // The same, as far as it is possible without memory; the rest is brought home when it is pinned again.
  void forget(Range pages) noexcept;

  // Calls `visit(pages, host)` for pages in a row, whose place overlaps these host addresses, clipped to them.
  void for_each_in(Range host, FunctionRef<void(Range pages, Range host)> visit) const;

  // The next two calls are about exactly these pages. ENOMEM.
  Result<> separate(Range pages);
  // They are nowhere; perhaps, if they could not be separated, with others.
  void take_away(Range pages) noexcept;
  // They are in a row from `place` on, which lasts as long as the keeper does. ENOMEM: they are gone.
  Result<> put(Range pages, HostAddress place, std::shared_ptr<void const> const& keeper);

 private:
  struct Piece {
    std::uint64_t last = 0;
    HostAddress place;  // of the start of its first page
    bool gone = false;
    std::shared_ptr<void const> keeper;  // nothing at home
  };
  using Pieces = std::map<std::uint64_t, Piece>;  // by first page; all pages, once there is one

  [[nodiscard]] HostAddress home_of(std::uint64_t page) const {
    return HostAddress(align_down(home_.value, host_page_lg2) + (page << host_page_lg2));
  }
  [[nodiscard]] Range home_pointers() const;
  // The host addresses of the bytes that are in these pages.
  [[nodiscard]] Range bytes(Range pages, HostAddress place) const;
  Result<> cut_before(std::uint64_t page) SWIOMMU_REQUIRES(mutex_);
  Result<> separate_locked(Range pages) SWIOMMU_REQUIRES(mutex_);
  void drop(Pieces::iterator piece) noexcept SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] Pieces::const_iterator find(std::uint64_t page) const SWIOMMU_REQUIRES(mutex_);

  HostAddressSpace& space_;
  HostAddress const home_;
  std::uint64_t const length_;
  bool const writable_;
  std::atomic<bool> moved_ = false;  // there are pieces, or it is lost
  std::atomic<bool> lost_ = false;   // all of it, because there was no memory for pieces
  mutable Mutex mutex_;              // before the host address space's
  Pieces pieces_ SWIOMMU_GUARDED_BY(mutex_);
  bool held_ SWIOMMU_GUARDED_BY(mutex_) = false;
};

}  // namespace swiommu
