// How often a page of memory is pinned, over all Pages of a host address space. For checks: a pin costs nothing more because
// of it, and a question looks at everything.
#pragma once
#include <cstdint>

#include "swiommu/base/address.h"
#include "swiommu/base/mutex.h"
#include "swiommu/memory/page_identity.h"

namespace swiommu {

class Pages;

// Any thread may call. Lock order: this, then Pages.
class PinLedger {
 public:
  PinLedger() = default;
  PinLedger(PinLedger const&) = delete;
  PinLedger& operator=(PinLedger const&) = delete;

  // How many Pages have it pinned: each counts once, as it pins once. ENOMEM; ESRCH: /proc is not there.
  [[nodiscard]] Result<std::uint64_t> pins(PageIdentity const& page) const;
  // The page that is pinned at a host address; nothing if none is. `own` is what is mapped in this process.
  [[nodiscard]] std::optional<PageIdentity> page_at(HostAddress address, MemoryMap const& own) const;

 private:
  friend class Pages;
  void add(Pages& pages) noexcept;
  void remove(Pages& pages) noexcept;

  mutable Mutex mutex_;
  Pages* first_ SWIOMMU_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace swiommu
