// DDT and PDT, the directories of devices and of processes: radix trees of 4 KiB pages (IOMMU specification, 3.1.1, 3.2.1,
// and the processes to locate a context, 3.3.1 and 3.3.2).
#pragma once
#include <cstdint>
#include <expected>
#include <string_view>

#include "hardware/structure_path.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::riscv {

struct Directory {
  char const* name;          // "DDT", "PDT"
  MemoryView const& memory;  // where its pages lie
  std::uint64_t root;        // address of the root page
  unsigned levels;           // 1..3
  unsigned leaf_bits;        // bits of the id that select within the last page; 9 more for each level above
  bool big_endian;
  std::string_view load_event;   // what the IOMMU reports where an entry cannot be read
  unsigned invalid_cause;        // "entry not valid"
  unsigned misconfigured_cause;  // "entry misconfigured"
};

// Follows the non-leaf entries for `id`; returns the address of the page that holds its context.
std::expected<std::uint64_t, ConfigurationFault> find_leaf_page(Directory const& directory, std::uint32_t id,
                                                                StructurePath& path);

}  // namespace swiommu::riscv
