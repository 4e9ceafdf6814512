// Memory of a host for tests: one stretch between guard pages, which counts who asks for it.
#pragma once
#include <sys/mman.h>

#include <atomic>
#include <functional>
#include <new>

#include "swiommu/base/bits.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::nesting {

class HostMemory final : public MemoryView {
 public:
  // Host addresses [base, base + length), all zero. Length: a multiple of 4 KiB.
  HostMemory(std::uint64_t base, std::uint64_t length) : base_(base), length_(length) {
    mapping_ = ::mmap(nullptr, length + 2 * guard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<std::byte*>(mapping_) + guard;
    if (::mprotect(data_, length, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  }
  ~HostMemory() override { ::munmap(mapping_, length_ + 2 * guard); }

  [[nodiscard]] std::uint64_t base() const { return base_; }
  [[nodiscard]] std::uint64_t length() const { return length_; }
  [[nodiscard]] bool holds(std::uint64_t address) const { return address - base_ < length_; }
  [[nodiscard]] std::uint64_t& word(std::uint64_t address) const {
    return *reinterpret_cast<std::uint64_t*>(data_ + (address - base_));
  }
  [[nodiscard]] std::uint64_t address_of(std::byte const* pointer) const {
    return base_ + static_cast<std::uint64_t>(pointer - data_);
  }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    locates.fetch_add(1, std::memory_order_relaxed);
    if (watch) watch(address, access);
    if (!holds(address)) return {};
    return {data_ + (address - base_), length_ - (address - base_)};
  }

  mutable std::atomic<std::uint64_t> locates = 0;
  std::function<void(std::uint64_t address, Access access)> watch;  // told of each request, before it is answered

 private:
  static constexpr std::uint64_t guard = 1 << 16;
  std::uint64_t base_;
  std::uint64_t length_;
  void* mapping_;
  std::byte* data_;
};

}  // namespace swiommu::nesting
