// The memory of a corpus case: its ELF core file, read without swiommu's own reader of such files.
#pragma once
#include <elf.h>
#include <zstd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "word_memory.h"

namespace swiommu {

// Adds the segments of the zstd-compressed little-endian ELF64 file at `path` to `memory`. False if it is no such file.
inline bool load_corpus_memory(std::string const& path, WordMemory& memory) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> const packed{std::istreambuf_iterator<char>(file), {}};
  unsigned long long const size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR) return false;
  std::vector<char> elf(size == ZSTD_CONTENTSIZE_UNKNOWN ? std::size_t{1} << 26 : size);
  std::size_t const got = ZSTD_decompress(elf.data(), elf.size(), packed.data(), packed.size());
  if (ZSTD_isError(got) || got < sizeof(Elf64_Ehdr)) return false;
  Elf64_Ehdr header;
  std::memcpy(&header, elf.data(), sizeof(header));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_DATA] != ELFDATA2LSB) return false;
  for (unsigned n = 0; n < header.e_phnum; n++) {
    Elf64_Phdr segment;
    std::uint64_t const at = header.e_phoff + n * sizeof(segment);
    if (at + sizeof(segment) > got) return false;
    std::memcpy(&segment, elf.data() + at, sizeof(segment));
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_offset > got || segment.p_filesz > got - segment.p_offset || segment.p_filesz % 8 != 0) return false;
    for (std::uint64_t offset = 0; offset < segment.p_filesz; offset += 8)
      std::memcpy(&memory.at(segment.p_paddr + offset), elf.data() + segment.p_offset + offset, 8);
  }
  return true;
}

}  // namespace swiommu
