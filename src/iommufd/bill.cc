#include "iommufd/bill.h"

#include <fmt/format.h>

namespace swiommu::iommufd {
namespace {

// ENOMEM: `counter` would be over the limit.
Result<> add_within(std::atomic<std::uint64_t>& counter, std::uint64_t pages, Process const& process, char const* whose) {
  std::uint64_t const limit = process.memlock_limit_pages.load(std::memory_order_relaxed);
  std::uint64_t before = counter.load(std::memory_order_relaxed);
  do {
    if (pages > limit || before > limit - pages)
      return fail(ENOMEM, fmt::format("{} pages more would be over RLIMIT_MEMLOCK of process {}: {} of {} pages are locked by {}",
                                      pages, process.pid, before, limit, whose));
  } while (!counter.compare_exchange_weak(before, before + pages, std::memory_order_relaxed));
  return {};
}

}  // namespace

Result<> Bill::add(Process& process, std::uint64_t pages) const {
  switch (limit_) {
    case Limit::none: break;
    case Limit::user: SWIOMMU_TRY(add_within(process.user->locked_pages, pages, process, "its user")); break;
    case Limit::process: SWIOMMU_TRY(add_within(process.locked_pages, pages, process, "it")); break;
  }
  process.pinned_pages.fetch_add(pages, std::memory_order_relaxed);
  return {};
}

void Bill::count(Process& process, std::uint64_t pages) const noexcept {
  if (limit_ == Limit::user) process.user->locked_pages.fetch_add(pages, std::memory_order_relaxed);
  if (limit_ == Limit::process) process.locked_pages.fetch_add(pages, std::memory_order_relaxed);
  process.pinned_pages.fetch_add(pages, std::memory_order_relaxed);
}

void Bill::take_back(Process& process, std::uint64_t pages) const noexcept { count(process, 0 - pages); }

Result<> Bill::charge(std::uint64_t pages) {
  return guarded([&]() -> Result<> {
    Lock const lock(mutex_);
    SWIOMMU_TRY(add(*process_, pages));
    pages_ += pages;
    return {};
  });
}

void Bill::release(std::uint64_t pages) noexcept {
  Lock const lock(mutex_);
  take_back(*process_, pages);
  pages_ -= pages;
}

Result<> Bill::charge_too(std::shared_ptr<Process> const& other) {
  return guarded([&]() -> Result<> {
    Lock const lock(mutex_);
    if (other == process_) return {};
    charged_too_ = pages_;
    return add(*other, pages_);
  });
}

void Bill::release_from(std::shared_ptr<Process> const& other) noexcept {
  Lock const lock(mutex_);
  if (other != process_) take_back(*other, charged_too_);
}

void Bill::settle(std::shared_ptr<Process> other) noexcept {
  Lock const lock(mutex_);
  if (other == process_) return;
  take_back(*process_, pages_);
  // In wrapping arithmetic: what was pinned, or unpinned, since.
  count(*other, pages_ - charged_too_);
  process_ = std::move(other);
}

std::shared_ptr<Process> Bill::process() const {
  Lock const lock(mutex_);
  return process_;
}

}  // namespace swiommu::iommufd
