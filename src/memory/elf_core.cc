#include "memory/elf_core.h"

#include <fmt/core.h>
#include <gelf.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

namespace swiommu {

bool looks_like_elf(std::span<std::byte const> file) {
  return file.size() >= SELFMAG && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0;
}

namespace {

struct EndElf {
  void operator()(Elf* elf) const { elf_end(elf); }
};

std::string kind_of(unsigned type) {
  switch (type) {
    case ET_REL: return "an object file (ET_REL)";
    case ET_EXEC: return "an executable (ET_EXEC)";
    case ET_DYN: return "a shared library or position-independent executable (ET_DYN)";
    default: return fmt::format("of ELF type {:#x}", type);
  }
}

// Number of program headers. From 0xffff on, section header 0 has the number (ELF gABI, "Program Header", PN_XNUM).
std::optional<std::uint64_t> count_program_headers(Elf* elf, GElf_Ehdr const& header) {
  if (header.e_phnum != PN_XNUM) return header.e_phnum;
  GElf_Shdr section;
  if (Elf_Scn* const first = elf_getscn(elf, 0); first == nullptr || gelf_getshdr(first, &section) == nullptr)
    return std::nullopt;
  return section.sh_info;
}

// Linux's own cores (kdump) hold the kernel's text twice, once more inside the RAM around it. So what repeats the bytes of a
// segment around it is dropped; any other overlap is an error.
Result<> drop_repetitions(std::span<std::byte const> file, std::vector<CoreSegment>& segments, std::string const& name) {
  bool const no_address =
      segments.size() > 1 && std::ranges::all_of(segments, [](CoreSegment const& s) { return s.memory.start == 0; });
  if (no_address)
    return fail(EINVAL, fmt::format("{} has no physical addresses: it is the core of a process, not of a machine", name));

  std::uint64_t to_compare = file.size();  // an honest core needs no more; a hostile one could keep us busy for hours
  auto const repeats = [&](CoreSegment const& inner, CoreSegment const& outer) {
    std::uint64_t const at = inner.memory.start - outer.memory.start;
    if (!outer.memory.contains(inner.memory) || inner.file_size != inner.memory.length() || at > outer.file_size ||
        inner.file_size > outer.file_size - at || inner.file_size > to_compare)
      return false;
    to_compare -= inner.file_size;
    return std::memcmp(file.data() + inner.offset, file.data() + outer.offset + at, inner.file_size) == 0;
  };
  std::ranges::sort(segments, [](CoreSegment const& a, CoreSegment const& b) {
    return a.memory.start != b.memory.start ? a.memory.start < b.memory.start : a.memory.last > b.memory.last;
  });
  std::size_t kept = 0;
  for (CoreSegment const& segment : segments) {
    if (kept != 0 && segment.memory.overlaps(segments[kept - 1].memory)) {
      if (repeats(segment, segments[kept - 1])) continue;
      return fail(EINVAL, fmt::format("{}: two segments both hold physical address {:#x}", name, segment.memory.start));
    }
    segments[kept++] = segment;
  }
  segments.resize(kept);
  return {};
}

}  // namespace

Result<ElfCore> read_elf_core(std::span<std::byte> file, std::string const& name) {
  auto const bad = [&](std::string const& what) { return fail(EINVAL, fmt::format("{}: {}", name, what)); };

  elf_version(EV_CURRENT);
  std::unique_ptr<Elf, EndElf> const elf(elf_memory(reinterpret_cast<char*>(file.data()), file.size()));
  GElf_Ehdr header;
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF || gelf_getehdr(elf.get(), &header) == nullptr)
    return bad("the ELF header is truncated or malformed");
  if (header.e_type != ET_CORE) return fail(EINVAL, fmt::format("{} is {}, not a core", name, kind_of(header.e_type)));

  std::optional<std::uint64_t> const count = count_program_headers(elf.get(), header);
  if (!count) return bad("section header 0, which has the number of program headers, is missing");
  if (*count == 0) return bad("the core has no program headers, so it holds no memory");
  std::size_t const entry_size = gelf_fsize(elf.get(), ELF_T_PHDR, 1, EV_CURRENT);
  if (header.e_phentsize != entry_size)
    return bad(fmt::format("program headers of {} bytes, {} are expected", header.e_phentsize, entry_size));
  // libelf would quietly read fewer.
  if (header.e_phoff > file.size() || *count > (file.size() - header.e_phoff) / entry_size)
    return bad(fmt::format("the file ends inside its {} program headers", *count));

  ElfCore core{.byte_order = header.e_ident[EI_DATA] == ELFDATA2MSB ? std::endian::big : std::endian::little, .segments = {}};
  for (std::uint64_t i = 0; i < *count; ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf.get(), static_cast<int>(i), &segment) == nullptr)
      return bad(fmt::format("program header {} is malformed", i));
    if (segment.p_type != PT_LOAD) continue;
    if (segment.p_filesz > segment.p_memsz)
      return bad(
          fmt::format("segment {} has {:#x} bytes in the file, but only {:#x} in memory", i, segment.p_filesz, segment.p_memsz));
    if (segment.p_memsz == 0) continue;
    auto const memory = Range::of_length(segment.p_paddr, segment.p_memsz);
    if (!memory)
      return bad(fmt::format("segment {} leaves the 64-bit space: {:#x} bytes from {:#x}", i, segment.p_memsz, segment.p_paddr));
    if (segment.p_filesz != 0 && (segment.p_offset > file.size() || segment.p_filesz > file.size() - segment.p_offset))
      return bad(fmt::format("segment {} reaches beyond the end of the file: {:#x} bytes from offset {:#x}, the file has {:#x}",
                             i, segment.p_filesz, segment.p_offset, file.size()));
    core.segments.push_back({*memory, segment.p_offset, segment.p_filesz});
  }
  if (core.segments.empty()) return bad("the core has no PT_LOAD segments, so it holds no memory");
  SWIOMMU_TRY(drop_repetitions(file, core.segments, name));
  return core;
}

}  // namespace swiommu
