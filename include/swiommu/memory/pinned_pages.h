// The memory behind areas, pinned once however many domains, copies and accesses use it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/mutex.h"
#include "swiommu/memory/account.h"
#include "swiommu/memory/backing.h"
#include "swiommu/memory/origin.h"
#include "swiommu/memory/range_counts.h"

namespace swiommu {

// Copies of an area share one object. Making it pins nothing, and so looks at nothing: what is wrong with the memory shows
// when it is first pinned. Pages are counted from the one with the first byte of the backing (Backing::page_offset()).
//
// Any thread may call. Lock order: this, then the host address space; the account has no lock.
class Pages {
 public:
  // `account` is charged for whatever is pinned here, by whomever; nullptr: nobody is.
  explicit Pages(std::unique_ptr<Backing> backing, std::shared_ptr<Account> account = nullptr);
  // The same, with words for where the memory comes from; its address steers where iovas are allocated.
  Pages(std::unique_ptr<Backing> backing, std::shared_ptr<Account> account, Origin origin);
  // Unpins what is still pinned.
  ~Pages();
  Pages(Pages const&) = delete;
  Pages& operator=(Pages const&) = delete;

  [[nodiscard]] Backing const& backing() const { return *backing_; }
  [[nodiscard]] std::shared_ptr<Account> const& account() const { return account_; }
  [[nodiscard]] Origin const& origin() const { return origin_; }
  [[nodiscard]] HostAddress host_address(std::uint64_t offset) const { return backing_->host_address(offset); }

  // Pins the pages `first_page` to `last_page`. Those that nobody has pinned yet are faulted in and charged.
  // ENOMEM: over the account's limit, or the system is out of memory; EFAULT: the memory is not there, or not writable though
  // the backing says so; ERANGE: beyond the last page. An error changes nothing.
  Result<> pin(std::uint64_t first_page, std::uint64_t last_page);

  // Takes back one pin() of exactly these pages. Those that nobody pins any more are released. Never fails, never allocates.
  void unpin(std::uint64_t first_page, std::uint64_t last_page) noexcept;

  // Pages that are pinned now.
  [[nodiscard]] std::uint64_t pinned() const;
  [[nodiscard]] bool pins(std::uint64_t page) const;
  // Calls `visit` with the number of each, ascending.
  void for_each_pinned(FunctionRef<void(std::uint64_t page)> visit) const;
  // Calls `visit` for each part of the range that is pinned, in ascending order.
  void for_each_pinned(Range pages, FunctionRef<void(Range)> visit) const;

  // Who maps memory that its owner may take back (Origin::Kind::device): told once, not inside a guard.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_revoked(Pages const& pages) noexcept = 0;
  };
  // ENOMEM. One that is told already is not told twice.
  Result<> tell(std::weak_ptr<Listener> listener);
  // The owner takes the memory back, for good. When this returns nobody maps it.
  void revoke() noexcept;
  [[nodiscard]] bool revoked() const { return revoked_.load(std::memory_order_acquire); }

 private:
  friend class PinLedger;
  Result<> pin_locked(Range wanted) SWIOMMU_REQUIRES(mutex_);

  std::unique_ptr<Backing> const backing_;
  std::shared_ptr<Account> const account_;
  Origin const origin_;
  mutable Mutex mutex_;
  RangeCounts users_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint64_t pinned_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::atomic<bool> revoked_ = false;
  std::vector<std::weak_ptr<Listener>> listeners_ SWIOMMU_GUARDED_BY(mutex_);
  Pages* next_ = nullptr;   // of the ledger
  Pages** link_ = nullptr;  // what points at this
};

}  // namespace swiommu
