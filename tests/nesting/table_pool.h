// Memory of the guest for its own tables. As real guests do, it does not use a table again before an invalidation.
#pragma once
#include <map>
#include <utility>
#include <vector>

#include "swiommu/base/bits.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu::nesting {

class TablePool final : public UserTableSource {
 public:
  explicit TablePool(Range memory) : memory_(memory), next_(memory.start) {}

  Result<std::uint64_t> allocate(unsigned size_lg2) override {
    if (auto& free = free_[size_lg2]; !free.empty()) {
      std::uint64_t const table = free.back();
      free.pop_back();
      return table;
    }
    std::uint64_t const table = (next_ + low_bits(size_lg2)) & ~low_bits(size_lg2);
    if (table + low_bits(size_lg2) > memory_.last) return out_of_memory();
    next_ = table + bit(size_lg2);
    return table;
  }
  void release(std::uint64_t table, unsigned size_lg2) override { waiting_.emplace_back(table, size_lg2); }

  // Everything has been invalidated.
  void reuse() {
    for (auto const& [table, size_lg2] : waiting_) free_[size_lg2].push_back(table);
    waiting_.clear();
  }

 private:
  Range memory_;
  std::uint64_t next_;
  std::map<unsigned, std::vector<std::uint64_t>> free_;
  std::vector<std::pair<std::uint64_t, unsigned>> waiting_;
};

}  // namespace swiommu::nesting
