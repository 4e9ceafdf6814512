// /proc/self/maps, read without allocating.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace swiommu::run {

struct MappedRange {
  std::uint64_t start = 0;
  std::uint64_t end = 0;  // exclusive
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  std::uint64_t offset = 0;  // in the file
  std::uint64_t device = 0;  // major << 32 | minor
  std::uint64_t inode = 0;   // 0: no file
  std::string_view name;     // valid until the next call
};

class MemoryMap {
 public:
  MemoryMap();
  ~MemoryMap();
  MemoryMap(MemoryMap const&) = delete;
  MemoryMap& operator=(MemoryMap const&) = delete;

  // In ascending order. Nothing: the end, or it cannot be read.
  std::optional<MappedRange> next();

 private:
  bool fill();

  int descriptor_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::array<char, 8192> text_;  // longer than any line
};

// One line of the file, without the line feed. Nothing: it is not such a line.
std::optional<MappedRange> parse_mapped_range(std::string_view line);

}  // namespace swiommu::run
