#include "swiommu/memory/pinned_pages.h"

#include <fmt/core.h>

namespace swiommu {

Pages::Pages(std::unique_ptr<Backing> backing, std::shared_ptr<Account> account)
    : backing_(std::move(backing)), account_(std::move(account)) {}

Pages::~Pages() {
  if (account_) account_->release(pinned());
}

Result<> Pages::pin(std::uint64_t first_page, std::uint64_t last_page) {
  return guarded([&]() -> Result<> {
    if (last_page < first_page || last_page >= backing_->pages())
      return fail(ERANGE,
                  fmt::format("pages {:#x} to {:#x} of memory with {:#x} pages", first_page, last_page, backing_->pages()));
    Range const wanted{first_page, last_page};
    Lock const lock(mutex_);
    std::uint64_t added = 0;
    SWIOMMU_TRY(users_.for_each_gap(wanted, [&](Range gap) -> Result<> { return added += gap.length(), Result<>(); }));
    if (account_) SWIOMMU_TRY(account_->charge(added));
    auto done = users_.for_each_gap(wanted, [&](Range gap) { return backing_->fault_in(gap.start, gap.last); });
    if (done) done = users_.add(wanted);
    if (done)
      pinned_ += added;
    else if (account_)
      account_->release(added);
    return done;
  });
}

void Pages::unpin(std::uint64_t first_page, std::uint64_t last_page) noexcept {
  Lock const lock(mutex_);
  std::uint64_t released = 0;
  users_.remove({first_page, last_page}, [&](Range gone) { released += gone.length(); });
  pinned_ -= released;
  if (account_) account_->release(released);
}

std::uint64_t Pages::pinned() const {
  Lock const lock(mutex_);
  return pinned_;
}

}  // namespace swiommu
