// Memory for page tables of our own.
//
// Tables live in one reserved stretch of virtual memory. Their addresses count from its start, so they are small (formats
// with narrow entries can name them) and become pointers by one addition. Free blocks are linked through a side array,
// never through the tables themselves: a walker that is still in a retired table must go on seeing its old words.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

#include "swiommu/base/result.h"

namespace swiommu {

class TableAllocator {
 public:
  // What is reserved unless told otherwise: 64 GiB hold the tables of 32 TiB of 4 KiB pages. Only touched memory costs anything.
  static constexpr std::uint64_t default_reserve = std::uint64_t{64} << 30;
  // Where address space is scarce (RLIMIT_AS, valgrind), a half of that, or a half again, down to this.
  static constexpr std::uint64_t least_reserve = std::uint64_t{1} << 30;
  static constexpr unsigned smallest_lg2 = 11;  // smaller tables get a block of this size
  static constexpr unsigned largest_lg2 = 31;

  // ENOMEM.
  static Result<std::shared_ptr<TableAllocator>> create();
  // `reserve`: bytes of address space, a multiple of 2 MiB. ENOMEM if the system does not give it.
  static Result<std::shared_ptr<TableAllocator>> create(std::uint64_t reserve);
  ~TableAllocator();
  TableAllocator(TableAllocator const&) = delete;
  TableAllocator& operator=(TableAllocator const&) = delete;

  // A block of 2^size_lg2 bytes, aligned to its size, contents undefined; never address 0. ENOMEM at the limit, at the end
  // of the reserve, or if the system has no memory; EINVAL above largest_lg2. Any thread.
  Result<std::uint64_t> allocate(unsigned size_lg2);

  // Gives a block back. Never fails, never allocates. Any thread.
  void release(std::uint64_t table, unsigned size_lg2) noexcept;

  [[nodiscard]] std::byte* pointer(std::uint64_t address) const noexcept { return base_ + address; }

  // A list of blocks of one size, linked like the free ones; for tables that wait for their grace period.
  struct List {
    std::uint32_t head = 0;  // block number + 1; 0: empty
    std::uint32_t tail = 0;
    std::uint64_t count = 0;
  };
  void append(List& list, std::uint64_t table) noexcept;
  void release_all(List& list, unsigned size_lg2) noexcept;

  // At most so many bytes in use at a time; allocations beyond fail with ENOMEM.
  void set_limit(std::uint64_t bytes) noexcept { limit_.store(bytes, std::memory_order_relaxed); }
  // After `successes` more allocations all fail with ENOMEM, until called again with `never`. For tests of failure.
  static constexpr std::uint64_t never = ~std::uint64_t{0};
  void fail_after(std::uint64_t successes) noexcept { successes_left_.store(successes, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t bytes_in_use() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t tables_in_use() const noexcept { return tables_.load(std::memory_order_relaxed); }

 private:
  TableAllocator(std::byte* base, std::uint64_t reserve, std::uint32_t* next) : base_(base), reserve_(reserve), next_(next) {}

  static unsigned block_lg2(unsigned size_lg2) { return size_lg2 < smallest_lg2 ? smallest_lg2 : size_lg2; }
  Result<std::uint64_t> carve(unsigned size_lg2);  // mutex held
  bool grow(std::uint64_t end);                    // mutex held
  void push(std::uint64_t table, unsigned size_lg2) noexcept;

  std::byte* const base_;
  std::uint64_t const reserve_;
  std::uint32_t* const next_;  // one word for each block of the smallest size
  std::mutex mutex_;           // guards the four below
  std::array<std::uint32_t, largest_lg2 + 1> free_{};
  std::uint64_t carved_ = std::uint64_t{1} << smallest_lg2;  // first byte that was never handed out
  std::uint64_t usable_ = 0;                                 // bytes of the reserve that are readable and writable
  std::atomic<std::uint64_t> limit_{never};
  std::atomic<std::uint64_t> successes_left_{never};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> tables_{0};
};

}  // namespace swiommu
