// What a change of a page table leaves to be done: which inputs must be invalidated, and which tables go back to the
// allocator once no walker can be in them any more.
//
//   Gather gather;
//   table.unmap(range, ..., gather);
//   ... invalidate gather.range(), wait for the grace period ...
//   gather.finish();
#pragma once
#include <array>
#include <memory>
#include <optional>

#include "swiommu/base/range.h"
#include "swiommu/memory/table_allocator.h"

namespace swiommu {

class Gather {
 public:
  Gather() = default;
  Gather(Gather const&) = delete;
  Gather& operator=(Gather const&) = delete;
  ~Gather();  // pending tables are an error of the library: they are asserted to be none

  // The smallest range that holds all inputs whose translation has changed; nothing if none has.
  [[nodiscard]] std::optional<Range> const& range() const { return range_; }
  [[nodiscard]] bool has_tables() const { return allocator_ != nullptr; }

  void add_range(Range range);
  // All tables of one gather come from one allocator.
  void add_table(TableAllocator& allocator, std::uint64_t table, unsigned size_lg2) noexcept;

  // Frees the tables. Only after the invalidation of range() and its grace period.
  void finish() noexcept;

 private:
  std::optional<Range> range_;
  TableAllocator* allocator_ = nullptr;
  std::array<TableAllocator::List, TableAllocator::largest_lg2 + 1> tables_{};
};

}  // namespace swiommu
