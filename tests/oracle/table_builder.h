// Random page tables, whatever the format. Level 0 holds leaves only.
#pragma once
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "oracle/guest_memory.h"

namespace swiommu::oracle {

// What a format's tables look like, from its manual.
struct TableShape {
  unsigned granule_lg2 = 12;  // of the smallest leaf, and of a table
  unsigned levels = 4;        // root included
  unsigned index_bits = 9;    // of each table
  unsigned root_index_bits = 9;
  unsigned root_size_lg2 = 12;    // and alignment
  std::uint64_t leaf_levels = 1;  // bit n: an entry at level n may be a leaf
  unsigned most_run_lg2 = 0;      // a leaf may be one of up to so many entries that act as one; the others stay empty
  // The word for an entry; the rest of its bits as they come.
  std::function<std::uint64_t(std::uint64_t address, unsigned level)> table;
  std::function<std::uint64_t(std::uint64_t address, unsigned level, unsigned run_lg2)> leaf;

  [[nodiscard]] unsigned shift(unsigned level) const { return granule_lg2 + level * index_bits; }
  [[nodiscard]] unsigned input_bits() const { return shift(levels - 1) + root_index_bits; }
};

// Where the user of the tables finds a block of memory: at its address, or where a table under these maps it.
using AddressOf = std::function<std::uint64_t(std::uint64_t block, unsigned size_lg2)>;

inline std::uint64_t at_its_address(std::uint64_t block, unsigned) { return block; }

class TableBuilder {
 public:
  // Tables and leaves hold the addresses that `address_of` gives.
  TableBuilder(Random& random, GuestMemory& memory, TableShape shape, AddressOf address_of);

  [[nodiscard]] std::uint64_t root() const { return root_address_; }
  [[nodiscard]] TableShape const& shape() const { return shape_; }

  // Maps an aligned block of memory somewhere, through a leaf of a random size that covers it or through several small ones,
  // among the tables that there are or by new ones. Returns the input that leads to it; if there is hardly any room, something
  // may have been in the way.
  std::uint64_t map(std::uint64_t block, unsigned size_lg2 = 12);

  // Where the entries lie that map() has written.
  [[nodiscard]] std::vector<std::uint64_t> const& entries() const { return entries_; }

 private:
  unsigned any_leaf_level();
  std::uint64_t any_input(unsigned fixed_lg2, std::uint64_t address);
  // False: something is in the way.
  bool place(std::uint64_t address, std::uint64_t input, unsigned leaf_level, unsigned run_lg2);

  Random& random_;
  GuestMemory& memory_;
  TableShape const shape_;
  AddressOf const address_of_;
  std::uint64_t root_ = 0, root_address_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> tables_;  // the table behind an entry
  std::vector<std::uint64_t> entries_;
  std::vector<std::uint64_t> inputs_;
};

// Spoils some of what was made: `entries` are words of structures, which hold addresses shifted right by `shift`. What comes
// out may mean anything.
void spoil(Random& random, GuestMemory& memory, std::vector<std::uint64_t> const& entries, unsigned shift = 0);

}  // namespace swiommu::oracle
