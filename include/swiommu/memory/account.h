// Who is charged for pinned pages, and up to which limit.
#pragma once
#include <atomic>
#include <cstdint>

#include "swiommu/base/result.h"

namespace swiommu {

// Shared by all that pin on the same bill. Any thread may call. A derived class may keep the bill elsewhere.
class Account {
 public:
  static constexpr std::uint64_t no_limit = ~std::uint64_t{0};

  explicit Account(std::uint64_t limit_pages = no_limit) : limit_(limit_pages) {}
  Account(Account const&) = delete;
  Account& operator=(Account const&) = delete;
  virtual ~Account() = default;

  [[nodiscard]] std::uint64_t limit() const { return limit_; }
  [[nodiscard]] std::uint64_t charged() const { return charged_.load(std::memory_order_relaxed); }

  // ENOMEM: `pages` more would be over the limit; nothing is charged.
  virtual Result<> charge(std::uint64_t pages) {
    std::uint64_t before = charged();
    do {
      if (pages > limit_ - before) return fail(ENOMEM, "over the limit of pinned pages");
    } while (!charged_.compare_exchange_weak(before, before + pages, std::memory_order_relaxed));
    return {};
  }

  // Takes back what was charged.
  virtual void release(std::uint64_t pages) noexcept { charged_.fetch_sub(pages, std::memory_order_relaxed); }

 private:
  std::uint64_t const limit_;
  std::atomic<std::uint64_t> charged_ = 0;  // never above limit_
};

}  // namespace swiommu
