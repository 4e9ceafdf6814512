// For tests: a small machine. Guest memory behind a paging domain, a user page table in it, and the domains above.
#pragma once
#include <memory>

#include "flat_memory.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/domain/shadow_domain.h"
#include "user_table.h"

namespace swiommu {

// Guest page n is page n of the memory, unless a test maps it elsewhere. Iova page n of the user page table is guest page n. The
// first `data_pages` pages are data; the user's tables lie behind them; then there are as many spare pages as data.
class DmaTree {
 public:
  static constexpr std::uint64_t page = FlatMemory::page;
  static constexpr std::uint64_t table_pages = 64;
  static constexpr Pasid nested_pasid = 1, shadow_pasid = 2;

  explicit DmaTree(std::uint64_t data_count, FormatConfiguration const& format = {.levels = 3})
      : data_pages(data_count),
        memory(std::make_shared<FlatMemory>(2 * data_count + table_pages, std::uint64_t{1} << 32)),
        host(Host::create(memory).value()),
        paging(PagingDomain::create(host, format).value()),
        guest(guest_memory(*memory, memory->range().start)) {
    // Page by page, so that no entry covers two pages of a test's.
    for (std::uint64_t n = 0; n < data_pages + table_pages; n++) map(n, n).value();
    for (std::uint64_t n = 0; n < data_pages; n++) user->map(pages(n), n * page).value();
    nested = NestedDomain::create(paging, user->description()).value();
    shadow = ShadowDomain::create(paging, user->description()).value();
    shadow->refresh(Range::all()).value();
    device = Device::create(host).value();
    device->attach(paging).value();
    device->attach(nested, nested_pasid).value();
    device->attach(shadow, shadow_pasid).value();
  }

  static Range pages(std::uint64_t first, std::uint64_t count = 1) { return {first * page, (first + count) * page - 1}; }
  [[nodiscard]] Range data() const { return pages(0, data_pages); }
  [[nodiscard]] std::uint64_t spare(std::uint64_t n) const { return data_pages + table_pages + n; }  // of guest page n

  // Guest page `n` to page `to` of the memory.
  Result<void> map(std::uint64_t n, std::uint64_t to) {
    return paging->map(pages(n), memory->address(to), {.access = Access::both()});
  }
  Result<void> replace(std::uint64_t n, std::uint64_t to) {
    return paging->replace(pages(n), memory->address(to), {.access = Access::both()});
  }

  std::uint64_t const data_pages;
  std::shared_ptr<FlatMemory> memory;
  Host host;
  std::shared_ptr<PagingDomain> paging;
  ShiftedMemory guest;
  std::unique_ptr<UserTable> user = std::make_unique<UserTable>(FormatConfiguration{.format = FormatName::x86_64, .levels = 4},
                                                                guest, pages(data_pages, table_pages));
  std::shared_ptr<NestedDomain> nested;
  std::shared_ptr<ShadowDomain> shadow;
  std::shared_ptr<Device> device;  // without PASID: paging; with: nested, shadow
};

}  // namespace swiommu
