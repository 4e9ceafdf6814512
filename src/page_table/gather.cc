#include "swiommu/page_table/gather.h"

#include <algorithm>
#include <cassert>

namespace swiommu {

Gather::~Gather() { assert(!has_tables() && "a gather must be finished"); }

void Gather::add_range(Range range) {
  range_ = range_ ? Range{std::min(range_->start, range.start), std::max(range_->last, range.last)} : range;
}

void Gather::add_table(TableAllocator& allocator, std::uint64_t table, unsigned size_lg2) noexcept {
  assert(allocator_ == nullptr || allocator_ == &allocator);
  allocator_ = &allocator;
  allocator.append(tables_[size_lg2], table);
}

void Gather::finish() noexcept {
  if (allocator_ == nullptr) return;
  for (unsigned lg2 = 0; lg2 < tables_.size(); lg2++) allocator_->release_all(tables_[lg2], lg2);
  allocator_ = nullptr;
}

}  // namespace swiommu
