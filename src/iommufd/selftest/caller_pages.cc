#include "iommufd/selftest/caller_pages.h"

#include <fmt/format.h>

namespace swiommu::iommufd::selftest {

Result<CallerPages> CallerPages::of(Caller& caller) {
  auto map = MemoryMap::of(caller.process()->pid);
  if (!map) return std::unexpected(std::move(map).error());
  return CallerPages(std::move(*map));
}

Result<PageIdentity> CallerPages::at(std::uint64_t address) const {
  auto const page = map_.page_at(address);
  if (!page) return fail(EFAULT, fmt::format("nothing is mapped at {:#x}", address));
  return *page;
}

Result<void> compare_pages(Caller& caller, std::uint64_t address, HostAddressSpace& addresses,
                           std::span<PagesSlice const> pinned) {
  auto const pages = CallerPages::of(caller);
  if (!pages) return std::unexpected(pages.error());
  std::uint64_t next = align_down(address, host_page_lg2);
  for (PagesSlice const& slice : pinned) {
    std::uint64_t const start = slice.pages->host_address(slice.offset).value, last = start + (slice.length - 1);
    for (std::uint64_t at = align_down(start, host_page_lg2); at <= last; at += host_page_size, next += host_page_size) {
      auto const wanted = pages->at(next);
      if (!wanted) return std::unexpected(wanted.error());
      auto const found = addresses.pins().page_at(HostAddress(at));
      if (!found) return std::unexpected(found.error());
      if (*found != *wanted) return fail(EBADE, fmt::format("another page than the one at {:#x} is pinned", next));
    }
  }
  return {};
}

}  // namespace swiommu::iommufd::selftest
