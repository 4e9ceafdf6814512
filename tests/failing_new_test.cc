#include "failing_new.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <thread>

namespace {

constexpr std::uint64_t unlimited = ~std::uint64_t{0};
thread_local std::uint64_t successes_left = unlimited;
thread_local bool has_failed = false;

bool may_allocate() noexcept {
  if (successes_left == unlimited) return true;
  if (successes_left == 0) {
    has_failed = true;
    return false;
  }
  successes_left--;
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (!may_allocate()) return nullptr;
  if (size == 0) size = 1;
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  if (void* const memory = allocate(size, alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// All forms that the standard library does not derive from these.
void* operator new(std::size_t size) { return allocate_or_throw(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::nothrow_t const&) noexcept { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment, std::nothrow_t const&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size) { return allocate_or_throw(size, 1); }
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::nothrow_t const&) noexcept { return allocate(size, 1); }
void* operator new[](std::size_t size, std::align_val_t alignment, std::nothrow_t const&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace swiommu {

FailingNew::FailingNew(std::uint64_t successes) noexcept {
  has_failed = false;
  successes_left = successes;
}
FailingNew::~FailingNew() { successes_left = unlimited; }
void FailingNew::allow() noexcept {
  successes_left = unlimited;
  failed_ = has_failed;
}
bool FailingNew::failed() const noexcept { return failed_ || has_failed; }

namespace {

TEST(FailingNew, FailsAfterSoManyAllocationsUntilItGoes) {
  auto const allocate = [] { return std::make_unique<std::uint64_t>(1); };
  {
    FailingNew const failing(2);
    auto const first = allocate(), second = allocate();
    bool thrown = false;
    try {
      ::operator delete(::operator new(1));  // unlike a new-expression, never optimised away
    } catch (std::bad_alloc const&) {
      thrown = true;
    }
    // gtest allocates: only now may it be asked
    FailingNew const never(unlimited);
    EXPECT_TRUE(thrown);
    EXPECT_TRUE(first && second);
  }
  EXPECT_TRUE(allocate());
}

TEST(FailingNew, ConcernsItsOwnThreadOnly) {
  std::unique_ptr<std::uint64_t> made;
  std::thread other;
  other = std::thread([&] { FailingNew const failing(0); });
  other.join();
  made = std::make_unique<std::uint64_t>(2);
  EXPECT_TRUE(made);
}

}  // namespace
}  // namespace swiommu
