// The pages of memory behind addresses of the caller, to be compared with what an IOMMU or software leads to.
#pragma once
#include <span>

#include "swiommu/domain/io_address_space.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/memory/host_address_space.h"
#include "swiommu/memory/page_identity.h"

namespace swiommu::iommufd::selftest {

// As they are mapped when the object is made.
class CallerPages {
 public:
  // ESRCH: /proc does not show the caller. ENOMEM.
  static Result<CallerPages> of(Caller& caller);
  // EFAULT: nothing is mapped there.
  [[nodiscard]] Result<PageIdentity> at(std::uint64_t address) const;

 private:
  explicit CallerPages(MemoryMap map) : map_(std::move(map)) {}
  MemoryMap map_;
};

// Are the pages from the caller's `address` on the same, one by one, as those of the slices? EFAULT: there is none at an address.
// EBADE: another one is.
Result<void> compare_pages(Caller& caller, std::uint64_t address, HostAddressSpace& addresses,
                           std::span<PagesSlice const> pinned);

}  // namespace swiommu::iommufd::selftest
