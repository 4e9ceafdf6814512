// A user page table: where an I/O page table that somebody else wrote lies, and how to read it.
#pragma once
#include <cstdint>

#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

struct UserPageTable {
  FormatConfiguration format;
  std::uint64_t root = 0;   // address of the root table, as the parent's inputs count
  bool big_endian = false;  // byte order of the table's words
};

}  // namespace swiommu
