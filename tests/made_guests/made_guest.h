// A guest that a test makes by hand: memory, registers, and what its I/O page table is expected to say. Nothing of the library
// writes here, so that what reads it is checked by something else.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace swiommu {

// A leaf, or a run of leaves of the same size, as `swiommu dump` lists them.
struct MadeMapping {
  std::uint64_t iova, last, output;
  bool readable, writable;
  std::uint64_t page_size;
};

class MadeGuest {
 public:
  static constexpr std::uint64_t page_size = 4096;
  using Registers = std::vector<std::pair<std::string, std::uint64_t>>;

  std::string iommu;
  Registers registers;
  std::string device = "0x28";
  std::vector<MadeMapping> mappings;  // in ascending order
  bool big_endian = false;            // of the words that put() writes from now on, and of the image

  void put(std::uint64_t address, std::uint64_t word) {
    if (big_endian) word = __builtin_bswap64(word);
    std::memcpy(&page(address)[address % page_size], &word, sizeof word);
  }
  void put(std::uint64_t address, std::initializer_list<std::uint64_t> words) {
    for (std::uint64_t const word : words) {
      put(address, word);
      address += sizeof word;
    }
  }
  std::uint64_t get(std::uint64_t address) {
    std::uint64_t word = 0;
    std::memcpy(&word, &page(address)[address % page_size], sizeof word);
    return big_endian ? __builtin_bswap64(word) : word;
  }

  // Memory for structures and tables, filled with a word.
  std::uint64_t allocate(std::uint64_t bytes, std::uint64_t fill = 0) {
    bytes = bytes < page_size ? page_size : bytes;
    next_ = (next_ + bytes - 1) / bytes * bytes;
    std::uint64_t const at = next_;
    next_ += bytes;
    for (std::uint64_t n = 0; n < bytes; n += 8) put(at + n, fill);
    return at;
  }

  // Data, which DMA can read and write: a few pages from `address` on, each full of bytes of its own.
  void fill_with_data(std::uint64_t address, unsigned pages = 2) {
    for (unsigned n = 0; n < pages; n++) {
      auto& bytes = page(address + n * page_size);
      for (std::size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<unsigned char>((address >> 12) * 7 + n * 31 + i * 3);
    }
  }

  using Page = std::array<unsigned char, page_size>;
  [[nodiscard]] std::map<std::uint64_t, Page> const& pages() const { return pages_; }  // by number

 private:
  Page& page(std::uint64_t address) { return pages_[address / page_size]; }

  std::map<std::uint64_t, Page> pages_;
  std::uint64_t next_ = 0x200000;
};

// A radix tree that a test writes word by word.
class MadeTable {
 public:
  struct Level {
    unsigned shift, index_bits;
  };
  using Link = std::function<std::uint64_t(std::uint64_t table, unsigned level)>;  // the word at `level` for a table below it
  using Empty = std::function<std::uint64_t(unsigned level)>;

  // `levels` from the one that holds only leaves up to the root.
  MadeTable(
      MadeGuest& guest, std::vector<Level> levels, std::uint64_t root_table, Link link, Empty empty = [](unsigned) { return 0; })
      : root(root_table), guest_(guest), levels_(std::move(levels)), link_(std::move(link)), empty_(std::move(empty)) {}

  // The address of the word at `level` that serves `iova`; tables on the way are made.
  std::uint64_t slot(std::uint64_t iova, unsigned level) {
    std::uint64_t table = root;
    for (auto l = static_cast<unsigned>(levels_.size() - 1);; l--) {
      std::uint64_t const index = iova >> levels_[l].shift & ((std::uint64_t{1} << levels_[l].index_bits) - 1);
      std::uint64_t const at = table + 8 * index;
      if (l == level) return at;
      std::uint64_t& below = tables_[at];
      if (below == 0) {
        below = guest_.allocate(std::uint64_t{8} << levels_[l - 1].index_bits, empty_(l - 1));
        guest_.put(at, link_(below, l));
      }
      table = below;
    }
  }
  void leaf(std::uint64_t iova, unsigned level, std::uint64_t word) { guest_.put(slot(iova, level), word); }

  std::uint64_t const root;

 private:
  MadeGuest& guest_;
  std::vector<Level> const levels_;
  Link const link_;
  Empty const empty_;
  std::map<std::uint64_t, std::uint64_t> tables_;  // by the address of the word that names them
};

// Levels of `bits` index bits each above pages of 2^page_lg2 bytes; the root has `root_bits`.
inline std::vector<MadeTable::Level> made_levels(unsigned count, unsigned page_lg2, unsigned bits, unsigned root_bits) {
  std::vector<MadeTable::Level> levels;
  for (unsigned l = 0; l < count; l++) levels.push_back({page_lg2 + l * bits, l + 1 == count ? root_bits : bits});
  return levels;
}

}  // namespace swiommu
