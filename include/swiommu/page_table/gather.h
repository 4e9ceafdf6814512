// What a change of a page table leaves to be done: which inputs must be invalidated, and which tables go back to the
// allocator once no walker can be in them any more.
//
//   Gather gather;
//   table.unmap(range, ..., gather);
//   ... invalidate gather.range(), wait for the grace period ...
//   gather.finish();
#pragma once
#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "swiommu/base/range.h"
#include "swiommu/memory/table_allocator.h"

namespace swiommu {

class Gather {
 public:
  Gather() {}
  Gather(Gather const&) = delete;
  Gather& operator=(Gather const&) = delete;
  ~Gather();  // pending tables are an error of the library: they are asserted to be none

  // The smallest range that holds all inputs whose translation has changed; nothing if none has.
  [[nodiscard]] std::optional<Range> const& range() const { return range_; }
  [[nodiscard]] bool has_tables() const { return allocator_ != nullptr; }

  void add_range(Range range) {
    range_ = range_ ? Range{std::min(range_->start, range.start), std::max(range_->last, range.last)} : range;
  }
  // All tables of one gather come from one allocator.
  void add_table(TableAllocator& allocator, std::uint64_t table, unsigned size_lg2) noexcept;

  // Frees the tables. Only after the invalidation of range() and its grace period.
  void finish() noexcept {
    if (has_tables()) free_tables();
  }

 private:
  void free_tables() noexcept;

  std::optional<Range> range_;
  TableAllocator* allocator_ = nullptr;
  std::uint32_t sizes_ = 0;  // bit n: there is a list of tables of 2^n bytes. Most changes have none
  static_assert(TableAllocator::largest_lg2 < 32);
  // Not set but where `sizes_` has a bit: to set half a kilobyte would be most of what a change of one page costs.
  union {
    std::array<TableAllocator::List, TableAllocator::largest_lg2 + 1> tables_;
  };
};

}  // namespace swiommu
