// One leaf of a page table, as visitors see it.
#pragma once
#include <cstdint>

#include "swiommu/base/range.h"
#include "swiommu/page_table/attributes.h"

namespace swiommu {

struct Leaf {
  Range range;                // inputs: one item, or several if they are joined, clipped to the range that was asked for
  std::uint64_t output = 0;   // output address of range.start
  Attributes attributes;      // rights combined along the path
  std::uint8_t size_lg2 = 0;  // of the whole entry: larger than the range for an item of a run
  std::uint8_t level = 0;
  bool marked = true;  // using all its rights sets no flag, here and on the path, that is not set
};

// What a visit may still read, and how far it got: for whoever goes on later from there.
struct VisitLimit {
  std::uint64_t words = ~std::uint64_t{0};  // counts down, one for each word that is read
  std::uint64_t next = 0;                   // where it was stopped: the first input that was not dealt with
  bool joins = false;  // may one leaf stand for several items in a row of a user's table that go on from each other?
};

}  // namespace swiommu
