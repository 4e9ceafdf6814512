// The physical memory of a machine, from a file or built in memory.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/memory/mapping.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu {

struct CoreSegment;

struct MemoryImageOptions {
  // Set: the file is not looked into, its bytes are memory from this address on (after unpacking, if it is compressed).
  std::optional<std::uint64_t> raw_base;
  // Bytes that a compressed file may unpack to; more is refused, because a few kilobytes can unpack to petabytes.
  std::uint64_t unpacked_limit = std::uint64_t{64} << 30;
};

// Sparse: an address is in one of its segments, or there is nothing. The image is private: writes never reach the file.
// Data lies at a pointer that is congruent to its address modulo 4 KiB, so aligned words are aligned.
//
// Any number of threads may locate, read and write; add_segment() needs the image to itself.
class MemoryImage final : public MemoryView {
 public:
  // An image of nothing, to be filled with add_segment().
  MemoryImage();
  ~MemoryImage() override;

  // Reads what the file's content says it is:
  //  - ELF core (ET_CORE, 32 or 64 bits, either byte order): its PT_LOAD segments at their physical addresses. Bytes that
  //    are in memory but not in the file are zero. Segments may overlap only where one repeats the bytes of another.
  //  - zstd, one or several frames: unpacked, then as above.
  //  - anything at all if options.raw_base is set.
  // The file is mapped, not read, so size does not matter; it must not be truncated while the image lives.
  // Errors name the file and the cause. Those of open(2) and mmap(2); EINVAL: empty, not a core, truncated or malformed;
  // EFBIG: unpacks to more than the limit; ENOMEM.
  static Result<std::unique_ptr<MemoryImage>> load(std::filesystem::path const& path, MemoryImageOptions options = {});

  // Adds memory with a copy of `bytes` (not empty) at `address`.
  // EEXIST: some of it is there already; EINVAL: empty, or leaves the 64-bit space; ENOMEM. An error changes nothing.
  Result<> add_segment(std::uint64_t address, std::span<std::byte const> bytes);

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override;

  // The ranges that hold memory, ascending and disjoint; neighbours may touch. Valid until add_segment().
  [[nodiscard]] std::span<Range const> segments() const { return ranges_; }

  // Byte order of the machine, as the ELF header says; nothing for a raw or a built image.
  [[nodiscard]] std::optional<std::endian> byte_order() const { return byte_order_; }

 private:
  // File bytes that do not lie as the address wants it: copied, block by block, when somebody first asks for them.
  struct LazyCopy;
  struct Place {
    std::byte* data;
    LazyCopy* lazy;  // nullptr: the data is there
  };

  Result<> place(Mapping file, std::vector<CoreSegment> const& segments);

  std::vector<Range> ranges_;  // ascending
  std::vector<Place> places_;  // of the range with the same index
  std::vector<Mapping> mappings_;
  std::vector<std::unique_ptr<LazyCopy>> lazy_copies_;
  std::optional<std::endian> byte_order_;
};

}  // namespace swiommu
