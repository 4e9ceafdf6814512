#include "swiommu/memory/pinned_pages.h"

#include <fmt/core.h>

#include <algorithm>

namespace swiommu {
namespace {

Origin with_address(Origin origin, Backing const& backing) {
  if (origin.kind == Origin::Kind::host) origin.address = backing.host_address(0).value;
  return origin;
}

}  // namespace

Pages::Pages(std::unique_ptr<Backing> backing, std::shared_ptr<Account> account)
    : Pages(std::move(backing), std::move(account), Origin{}) {}

Pages::Pages(std::unique_ptr<Backing> backing, std::shared_ptr<Account> account, Origin origin)
    : backing_(std::move(backing)), account_(std::move(account)), origin_(with_address(origin, *backing_)) {
  backing_->space().pins().add(*this);
}

Pages::~Pages() {
  backing_->space().pins().remove(*this);
  if (std::uint64_t const left = pinned(); account_ && left != 0) account_->release(left);
}

Result<> Pages::pin(std::uint64_t first_page, std::uint64_t last_page) {
  return guarded([&]() -> Result<> {
    if (last_page < first_page || last_page >= backing_->pages())
      return fail(ERANGE,
                  fmt::format("pages {:#x} to {:#x} of memory with {:#x} pages", first_page, last_page, backing_->pages()));
    Range const wanted{first_page, last_page};
    Lock const lock(mutex_);
    // Before anything is looked at: from then on the memory cannot be taken away behind our back.
    if (pinned_ == 0) SWIOMMU_TRY(backing_->hold());
    auto const done = pin_locked(wanted);
    if (pinned_ == 0) backing_->let_go();
    return done;
  });
}

Result<> Pages::pin_locked(Range wanted) {
  std::uint64_t added = 0;
  SWIOMMU_TRY(users_.for_each_gap(wanted, [&](Range gap) {
    added += gap.length();
    return backing_->fault_in(gap.start, gap.last);
  }));
  if (account_ && added != 0) SWIOMMU_TRY(account_->charge(added));
  auto const done = users_.add(wanted);
  if (done)
    pinned_ += added;
  else if (account_)
    account_->release(added);
  return done;
}

void Pages::unpin(std::uint64_t first_page, std::uint64_t last_page) noexcept {
  Lock const lock(mutex_);
  std::uint64_t released = 0;
  users_.remove({first_page, last_page}, [&](Range gone) {
    released += gone.length();
    backing_->released(gone.start, gone.last);
  });
  pinned_ -= released;
  if (released != 0 && pinned_ == 0) backing_->let_go();
  if (account_ && released != 0) account_->release(released);
}

void Pages::for_each_pinned(Range pages, FunctionRef<void(Range)> visit) const {
  Lock const lock(mutex_);
  users_.for_each_covered(pages, visit);
}

std::uint64_t Pages::pinned() const {
  Lock const lock(mutex_);
  return pinned_;
}

bool Pages::pins(std::uint64_t page) const {
  Lock const lock(mutex_);
  return users_.last_of_run(page).has_value();
}

void Pages::for_each_pinned(FunctionRef<void(std::uint64_t page)> visit) const {
  Lock const lock(mutex_);
  for (std::uint64_t page = 0; page < backing_->pages();) {
    auto const last = users_.last_of_run(page);
    if (!last) {
      auto const next = users_.next_run(page);
      if (!next) return;
      page = *next;
      continue;
    }
    for (; page <= *last; ++page) visit(page);
  }
}

Result<> Pages::tell(std::weak_ptr<Listener> listener) {
  return guarded([&]() -> Result<> {
    Lock const lock(mutex_);
    std::erase_if(listeners_, [](auto const& each) { return each.expired(); });
    auto const same = [&](auto const& each) { return !each.owner_before(listener) && !listener.owner_before(each); };
    if (std::ranges::none_of(listeners_, same)) listeners_.push_back(std::move(listener));
    return {};
  });
}

void Pages::revoke() noexcept {
  revoked_.store(true, std::memory_order_release);
  std::vector<std::weak_ptr<Listener>> told;
  {
    Lock const lock(mutex_);
    told.swap(listeners_);
  }
  for (auto const& each : told) {
    if (auto const listener = each.lock()) listener->on_revoked(*this);
  }
}

}  // namespace swiommu
