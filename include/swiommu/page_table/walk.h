// The outcome of one walk through one page table.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "swiommu/page_table/attributes.h"
#include "swiommu/page_table/fault.h"

namespace swiommu {

struct Walk {
  Reason reason = Reason::none;
  std::uint8_t level = 0;           // level of the table in which the walk ended
  std::uint8_t size_lg2 = 0;        // log2 of the size of the leaf, or of the hole that one empty item makes
  Attributes attributes;            // rights combined along the path; memory type of the leaf
  std::uint64_t output = 0;         // output address of the input (not of the start of the leaf)
  std::uint64_t entry_address = 0;  // where the last word that was looked at lies
  std::uint64_t entry = 0;          // its value
  Access above = Access::both();    // rights left by the entries above it

  [[nodiscard]] bool ok() const { return reason == Reason::none; }
};

// A table of level 0 that was met in a walk and fills a page, for whoever walks there again: what a paging-structure cache holds.
struct LowestTable {
  static constexpr unsigned bytes_lg2 = 12, inputs_lg2 = 21;  // 512 words, for 4 KiB each

  std::byte* words = nullptr;     // where it is; nullptr: unknown
  Access above = Access::both();  // rights left by the entries on the way to it
};

// One step of a walk, for people.
struct WalkStep {
  std::uint8_t level = 0;
  std::uint64_t table = 0;  // address of the table
  std::uint64_t index = 0;
  std::uint64_t entry_address = 0;
  std::uint64_t entry = 0;
  bool reached = true;    // false: the table could not be read
  std::string_view kind;  // "empty", "table", "leaf", "malformed"
  std::string bits;       // the names of the bits that are set
};

}  // namespace swiommu
