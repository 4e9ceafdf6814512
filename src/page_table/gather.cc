#include "swiommu/page_table/gather.h"

#include <cassert>

namespace swiommu {

Gather::~Gather() { assert(!has_tables() && "a gather must be finished"); }

void Gather::add_table(TableAllocator& allocator, std::uint64_t table, unsigned size_lg2) noexcept {
  assert(allocator_ == nullptr || allocator_ == &allocator);
  allocator_ = &allocator;
  auto const size = static_cast<std::uint32_t>(bit(size_lg2));
  if ((sizes_ & size) == 0) tables_[size_lg2] = {};
  sizes_ |= size;
  allocator.append(tables_[size_lg2], table);
}

void Gather::free_tables() noexcept {
  for (std::uint64_t left = sizes_; left != 0; left &= left - 1) {
    unsigned const lg2 = alignment_lg2(left);
    allocator_->release_all(tables_[lg2], lg2);
  }
  sizes_ = 0;
  allocator_ = nullptr;
}

}  // namespace swiommu
