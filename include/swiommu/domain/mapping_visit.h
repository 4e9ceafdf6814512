// All that a domain maps, down to host addresses.
#pragma once
#include "swiommu/base/function_ref.h"
#include "swiommu/domain/domain.h"

namespace swiommu {

struct MappedRange {
  Range range;                // inputs of the domain
  std::uint64_t output = 0;   // host address of range.start
  Attributes attributes;      // rights left at the end
  std::uint8_t size_lg2 = 0;  // of the entry: the smallest on the way down; 64 for no table at all

  // Does `next` go on where this one ends, with everything else alike?
  [[nodiscard]] bool continued_by(MappedRange const& next) const {
    return range.last + 1 == next.range.start && next.range.start != 0 && output + range.length() == next.output &&
           attributes == next.attributes && size_lg2 == next.size_lg2;
  }
};

// Calls `visit` for each piece that is mapped, in the order of inputs, until it returns false or `budget` words of the domain's
// own table have been read, or as many pieces and holes been met in the domain under it. Returns whether the end was reached.
// Pieces are as small as the tables' items: visit_coalesced joins them. Not beside unmap.
bool visit_mappings(Domain const& domain, Range inputs, FunctionRef<bool(MappedRange const&)> visit,
                    std::uint64_t budget = PageTable::no_limit);

// The same with neighbours joined.
bool visit_coalesced(Domain const& domain, Range inputs, FunctionRef<bool(MappedRange const&)> visit,
                     std::uint64_t budget = PageTable::no_limit);

}  // namespace swiommu
