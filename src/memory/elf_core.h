// Where an ELF core file keeps the physical memory of a machine.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "swiommu/base/range.h"
#include "swiommu/base/result.h"

namespace swiommu {

// Memory whose first bytes are in the file; the others are zero.
struct CoreSegment {
  Range memory;
  std::uint64_t offset = 0;     // in the file
  std::uint64_t file_size = 0;  // at most the length of `memory`
};

struct ElfCore {
  std::endian byte_order = std::endian::little;
  std::vector<CoreSegment> segments;  // ascending in memory, disjoint, each wholly in the file; none is empty
};

// Does the file begin like an ELF file?
bool looks_like_elf(std::span<std::byte const> file);

// Reads and checks the headers; the bytes of the segments are not touched. `name` is for the error texts. EINVAL.
Result<ElfCore> read_elf_core(std::span<std::byte> file, std::string const& name);

}  // namespace swiommu
