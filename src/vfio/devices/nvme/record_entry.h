// What a write record consists of, as docs/vfio.md describes it.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace swiommu::vfio::nvme {

static_assert(std::endian::native == std::endian::little, "a record is little-endian");

enum class RecordKind : std::uint32_t {
  write = 1,       // `length` bytes of data follow
  zeroes = 2,      // Write Zeroes
  deallocate = 3,  // a range of Dataset Management
  flush = 4,       // the blocks are kept, as the entries before `before` left them
};

// Numbers of bytes; entries are counted from 0.
struct RecordEntry {
  RecordKind kind{};
  std::uint32_t nsid = 0;
  std::uint64_t offset = 0, length = 0;
  std::uint64_t before = 0;         // of a flush
  std::uint64_t data_checksum = 0;  // of a write
  std::uint64_t checksum = 0;       // of all that stands before it

  [[nodiscard]] std::uint64_t end() const { return offset + length; }
  [[nodiscard]] std::uint64_t data_bytes() const { return kind == RecordKind::write ? length : 0; }
};
static_assert(sizeof(RecordEntry) == 48);

// What a record begins with: this, and then a RecordedNamespace for each namespace.
struct RecordStart {
  char name[16] = {'s', 'w', 'i', 'o', 'm', 'm', 'u', ' ', 'w', 'r', 'i', 't', 'e', 's', '\n', 0};
  std::uint32_t version = 1;
  std::uint32_t namespaces = 0;
  std::uint64_t checksum = 0;  // of the namespaces
};
static_assert(sizeof(RecordStart) == 32);

struct RecordedNamespace {
  std::uint64_t bytes = 0;
  std::uint32_t block_bytes = 0, reserved = 0;
};
static_assert(sizeof(RecordedNamespace) == 16);

// FNV-1a over words of 64 bits instead of bytes. `seed`: the number of the entry, so that none can stand in another's place.
inline std::uint64_t record_checksum(std::uint64_t seed, std::span<std::byte const> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325 ^ seed;
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = (hash ^ word) * 0x100000001b3;
  }
  return hash;
}

inline std::uint64_t checksum_of(RecordEntry const& entry, std::uint64_t number) {
  return record_checksum(number, std::as_bytes(std::span(&entry, 1)).first(offsetof(RecordEntry, checksum)));
}

}  // namespace swiommu::vfio::nvme
