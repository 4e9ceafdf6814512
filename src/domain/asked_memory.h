// A view of memory that remembers between which addresses it was asked: what changes elsewhere is of no interest to who asked.
#pragma once
#include <algorithm>

#include "swiommu/base/range.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu {

// Threads: one at a time.
class AskedMemory final : public MemoryView {
 public:
  explicit AskedMemory(MemoryView const& view) : view_(view) {}

  // Words of one table mostly lie in a row: the last row that was read is kept until forget_row().
  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    if (access == Access::reading() && address - row_start_ < row_.length)
      return {row_.data + (address - row_start_), row_.length - (address - row_start_)};
    Chunk const chunk = view_.locate(address, access);
    std::uint64_t const rest = std::max<std::uint64_t>(chunk ? chunk.length : 0, 8) - 1;  // a word, if it is not there
    note({address, address + std::min(rest, ~address)});
    if (access == Access::reading()) row_start_ = address, row_ = chunk;
    return chunk;
  }
  [[nodiscard]] bool doubtful() const override { return view_.doubtful(); }
  // The guard in which the row may be used ends.
  void forget_row() { row_ = {}; }

  // Somebody has asked for this in another way.
  void note(Range addresses) const {
    start_ = std::min(start_, addresses.start);
    last_ = std::max(last_, addresses.last);
  }

  // May anything of this have been asked for?
  [[nodiscard]] bool concerns(Range addresses) const { return addresses.start <= last_ && start_ <= addresses.last; }

 private:
  MemoryView const& view_;
  mutable std::uint64_t row_start_ = 0;
  mutable Chunk row_;
  mutable std::uint64_t start_ = ~std::uint64_t{0};
  mutable std::uint64_t last_ = 0;
};

}  // namespace swiommu
