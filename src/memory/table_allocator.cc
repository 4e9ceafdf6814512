#include "swiommu/memory/table_allocator.h"

#include <sys/mman.h>

#include <algorithm>

#include "swiommu/base/bits.h"

namespace swiommu {

namespace {

constexpr std::uint64_t growth = std::uint64_t{2} << 20;

std::uint64_t side_bytes(std::uint64_t reserve) { return (reserve >> TableAllocator::smallest_lg2) * sizeof(std::uint32_t); }

void* reserve_memory(std::uint64_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

bool open_memory(void* memory, std::uint64_t bytes) { return ::mprotect(memory, bytes, PROT_READ | PROT_WRITE) == 0; }

}  // namespace

Result<std::shared_ptr<TableAllocator>> TableAllocator::create() {
  std::uint64_t reserve = default_reserve;
  auto allocator = create(reserve);
  while (!allocator && reserve > least_reserve) allocator = create(reserve /= 2);
  return allocator;
}

Result<std::shared_ptr<TableAllocator>> TableAllocator::create(std::uint64_t reserve) {
  if (reserve == 0 || reserve % growth != 0 || reserve >> smallest_lg2 > 0xffffffffu)
    return fail(EINVAL, "the reserve for page tables must be a multiple of 2 MiB and below 8 TiB");
  // One growth step more, so that the start can be aligned to the largest table.
  std::uint64_t const alignment = bit(std::min<unsigned>(largest_lg2, log2_floor(reserve)));
  void* const raw = reserve_memory(reserve + alignment);
  if (raw == nullptr) return fail(ENOMEM, "no address space for page tables");
  auto const address = reinterpret_cast<std::uintptr_t>(raw);
  std::uintptr_t const aligned = (address + alignment - 1) & ~(alignment - 1);
  if (aligned != address) ::munmap(raw, aligned - address);
  ::munmap(reinterpret_cast<void*>(aligned + reserve), address + alignment - aligned);
  void* const side = reserve_memory(side_bytes(reserve));
  if (side == nullptr) {
    ::munmap(reinterpret_cast<void*>(aligned), reserve);
    return fail(ENOMEM, "no address space for page tables");
  }
  auto* const base = reinterpret_cast<std::byte*>(aligned);
  // Few tables cost few pages; many are found faster in huge ones, where the system has them.
  if (reserve > growth) ::madvise(base + growth, reserve - growth, MADV_HUGEPAGE);
  auto* const allocator = new (std::nothrow) TableAllocator(base, reserve, static_cast<std::uint32_t*>(side));
  if (allocator == nullptr) {
    ::munmap(base, reserve);
    ::munmap(side, side_bytes(reserve));
    return out_of_memory();
  }
  // From here on the shared pointer owns it, also if there is no memory for its counts.
  return guarded([&]() -> Result<std::shared_ptr<TableAllocator>> { return std::shared_ptr<TableAllocator>(allocator); });
}

TableAllocator::~TableAllocator() {
  ::munmap(base_, reserve_);
  ::munmap(next_, side_bytes(reserve_));
}

Result<std::uint64_t> TableAllocator::allocate(unsigned size_lg2) {
  size_lg2 = block_lg2(size_lg2);
  if (size_lg2 > largest_lg2) return fail(EINVAL, "page table too large");
  std::scoped_lock const lock(mutex_);
  std::uint64_t const left = successes_left_.load(std::memory_order_relaxed);
  if (left == 0 || bytes_in_use() + bit(size_lg2) > limit_.load(std::memory_order_relaxed)) return out_of_memory();
  std::uint64_t table = 0;
  if (std::uint32_t const head = free_[size_lg2]; head != 0) {
    free_[size_lg2] = next_[head - 1];
    table = std::uint64_t{head - 1} << smallest_lg2;
  } else {
    auto const carved = carve(size_lg2);
    if (!carved) return carved;
    table = *carved;
  }
  if (left != never) successes_left_.store(left - 1, std::memory_order_relaxed);
  bytes_.fetch_add(bit(size_lg2), std::memory_order_relaxed);
  tables_.fetch_add(1, std::memory_order_relaxed);
  return table;
}

// Takes a new block from the end; what alignment leaves over goes to the lists of the smaller sizes.
Result<std::uint64_t> TableAllocator::carve(unsigned size_lg2) {
  std::uint64_t const table = (carved_ + bit(size_lg2) - 1) & ~(bit(size_lg2) - 1);
  if (table + bit(size_lg2) > reserve_ || !grow(table + bit(size_lg2))) return out_of_memory();
  while (carved_ < table) {
    unsigned const lg2 = std::min(alignment_lg2(carved_), log2_floor(table - carved_));
    push(carved_, lg2);
    carved_ += bit(lg2);
  }
  carved_ = table + bit(size_lg2);
  return table;
}

bool TableAllocator::grow(std::uint64_t end) {
  if (end <= usable_) return true;
  std::uint64_t const wanted = std::min((end + growth - 1) & ~(growth - 1), reserve_);
  // The kernel makes whole pages accessible: ask for the side array up to `wanted` each time, from its start.
  if (!open_memory(base_ + usable_, wanted - usable_) || !open_memory(next_, side_bytes(wanted))) return false;
  usable_ = wanted;
  return true;
}

void TableAllocator::push(std::uint64_t table, unsigned size_lg2) noexcept {
  auto const block = static_cast<std::uint32_t>(table >> smallest_lg2);
  next_[block] = free_[size_lg2];
  free_[size_lg2] = block + 1;
}

void TableAllocator::release(std::uint64_t table, unsigned size_lg2) noexcept {
  size_lg2 = block_lg2(size_lg2);
  std::scoped_lock const lock(mutex_);
  push(table, size_lg2);
  bytes_.fetch_sub(bit(size_lg2), std::memory_order_relaxed);
  tables_.fetch_sub(1, std::memory_order_relaxed);
}

void TableAllocator::append(List& list, std::uint64_t table) noexcept {
  auto const block = static_cast<std::uint32_t>(table >> smallest_lg2);
  next_[block] = 0;
  if (list.tail != 0)
    next_[list.tail - 1] = block + 1;
  else
    list.head = block + 1;
  list.tail = block + 1;
  list.count++;
}

void TableAllocator::release_all(List& list, unsigned size_lg2) noexcept {
  if (list.head == 0) return;
  size_lg2 = block_lg2(size_lg2);
  std::scoped_lock const lock(mutex_);
  next_[list.tail - 1] = free_[size_lg2];
  free_[size_lg2] = list.head;
  bytes_.fetch_sub(list.count << size_lg2, std::memory_order_relaxed);
  tables_.fetch_sub(list.count, std::memory_order_relaxed);
  list = {};
}

}  // namespace swiommu
