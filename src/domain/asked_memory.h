// A view of memory that remembers between which addresses it was asked: what changes elsewhere is of no interest to who asked.
#pragma once
#include <atomic>

#include "swiommu/base/range.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu {

// Threads: any.
class AskedMemory final : public MemoryView {
 public:
  explicit AskedMemory(MemoryView const& view) : view_(view) {}

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    note({address, address | 7});  // a word
    return view_.locate(address, access);
  }
  [[nodiscard]] bool doubtful() const override { return view_.doubtful(); }

  // Somebody has asked for this in another way.
  void note(Range addresses) const {
    for (std::uint64_t known = start_.load(std::memory_order_relaxed);
         addresses.start < known && !start_.compare_exchange_weak(known, addresses.start, std::memory_order_relaxed);) {
    }
    for (std::uint64_t known = last_.load(std::memory_order_relaxed);
         addresses.last > known && !last_.compare_exchange_weak(known, addresses.last, std::memory_order_relaxed);) {
    }
  }

  // May anything of this have been asked for?
  [[nodiscard]] bool concerns(Range addresses) const {
    return addresses.start <= last_.load(std::memory_order_relaxed) && start_.load(std::memory_order_relaxed) <= addresses.last;
  }

 private:
  MemoryView const& view_;
  mutable std::atomic<std::uint64_t> start_ = ~std::uint64_t{0};
  mutable std::atomic<std::uint64_t> last_ = 0;
};

}  // namespace swiommu
