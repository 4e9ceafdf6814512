#include "swiommu/memory/page_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <memory>

#include "swiommu/base/bits.h"
#include "swiommu/memory/mapping.h"

namespace swiommu {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Stream = std::unique_ptr<std::FILE, Close>;

Stream open_of(std::int32_t process, char const* name) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%" PRId32 "/%s", process, name);
  return Stream(std::fopen(path, "re"));
}

struct Line {
  std::uint64_t start = 0, end = 0, offset = 0, inode = 0;
  std::uint32_t major = 0, minor = 0;
  char rights[5] = {};
};

// The head of a mapping, of maps and of smaps alike (proc(5)).
bool parse(char const* text, Line& line) {
  return std::sscanf(text, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %" SCNx32 ":%" SCNx32 " %" SCNu64, &line.start, &line.end,
                     line.rights, &line.offset, &line.major, &line.minor, &line.inode) == 7;
}

// Calls `visit(char const*)` for each line; the tails of those that are longer than a path may be, by themselves.
template <class Visit>
void for_each_line(std::FILE* file, Visit visit) {
  char text[512];
  for (bool whole = true; std::fgets(text, sizeof text, file) != nullptr;) {
    bool const starts = whole;
    whole = std::char_traits<char>::find(text, std::char_traits<char>::length(text), '\n') != nullptr;
    if (starts && !visit(text)) return;
  }
}

}  // namespace

Result<MemoryMap> MemoryMap::of(std::int32_t process) {
  return guarded([&]() -> Result<MemoryMap> {
    Stream const file = open_of(process, "maps");
    if (!file) return fail(ESRCH, fmt::format("cannot see the memory of process {}", process));
    std::vector<Entry> entries;
    for_each_line(file.get(), [&](char const* text) {
      Line line;
      if (parse(text, line) && line.end > line.start)
        entries.push_back({.addresses = {line.start, line.end - 1},
                           .shared = line.rights[3] == 's',
                           .offset = line.offset,
                           .device = std::uint64_t{line.major} << 32 | line.minor,
                           .inode = line.inode});
      return true;
    });
    return MemoryMap(process, std::move(entries));
  });
}

std::optional<PageIdentity> MemoryMap::page_at(std::uint64_t address) const {
  auto const at = std::ranges::lower_bound(entries_, address, {}, [](Entry const& entry) { return entry.addresses.last; });
  if (at == entries_.end() || !at->addresses.contains(address)) return std::nullopt;
  if (!at->shared) return PageIdentity{.process = process_, .page = address >> host_page_lg2};
  std::uint64_t const offset = at->offset + (address - at->addresses.start);
  return PageIdentity{.device = at->device, .inode = at->inode, .page = offset >> host_page_lg2};
}

unsigned page_size_lg2_at(std::int32_t process, std::uint64_t address) {
  Stream const file = open_of(process, "smaps");
  if (!file) return host_page_lg2;
  unsigned found = host_page_lg2;
  bool inside = false;
  for_each_line(file.get(), [&](char const* text) {
    Line line;
    std::uint64_t kibibytes = 0;
    if (parse(text, line)) {
      inside = line.start <= address && address < line.end;
    } else if (inside && std::sscanf(text, "KernelPageSize: %" SCNu64 " kB", &kibibytes) == 1) {
      if (kibibytes >= 4) found = log2_floor(kibibytes) + 10;
      return false;
    }
    return true;
  });
  return found;
}

}  // namespace swiommu
