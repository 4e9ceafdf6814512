#include "swiommu/memory/pin_ledger.h"

#include <unistd.h>

#include <bit>

#include "swiommu/memory/pinned_pages.h"

namespace swiommu {

void PinLedger::add(Pages& pages) noexcept {
  Lock const lock(mutex_);
  pages.next_ = first_;
  pages.link_ = &first_;
  if (first_ != nullptr) first_->link_ = &pages.next_;
  first_ = &pages;
}

void PinLedger::remove(Pages& pages) noexcept {
  Lock const lock(mutex_);
  *pages.link_ = pages.next_;
  if (pages.next_ != nullptr) pages.next_->link_ = pages.link_;
}

Result<std::uint64_t> PinLedger::pins(PageIdentity const& page) const {
  return guarded([&]() -> Result<std::uint64_t> {
    auto const map = MemoryMap::of(::getpid());
    if (!map) return std::unexpected(map.error());
    std::uint64_t count = 0;
    Lock const lock(mutex_);
    for (Pages const* pages = first_; pages != nullptr; pages = pages->next_) {
      Backing const& backing = pages->backing();
      auto const place = [&](std::uint64_t number) {
        std::uint64_t const from_first_page = number << host_page_lg2;
        std::uint64_t const offset = number == 0 ? 0 : from_first_page - backing.page_offset();
        return align_down(std::bit_cast<std::uint64_t>(backing.pointer(offset)), host_page_lg2);
      };
      bool found = false;
      pages->for_each_pinned([&](std::uint64_t number) {
        auto const here = backing.identity(number);
        found = found || (here ? here : map->page_at(place(number))) == page;
      });
      count += found;
    }
    return count;
  });
}

std::optional<PageIdentity> PinLedger::page_at(HostAddress address, MemoryMap const& own) const {
  Lock const lock(mutex_);
  for (Pages const* pages = first_; pages != nullptr; pages = pages->next_) {
    Backing const& backing = pages->backing();
    std::uint64_t const into = address.value - (backing.host_address(0).value - backing.page_offset());
    std::uint64_t const number = into >> host_page_lg2;
    if (number >= backing.pages() || !pages->pins(number)) continue;
    if (auto const here = backing.identity(number)) return here;
    return own.page_at(std::bit_cast<std::uint64_t>(backing.pointer(0)) - backing.page_offset() + into);
  }
  return std::nullopt;
}

}  // namespace swiommu
