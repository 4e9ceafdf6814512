// Translations that are kept: a set-associative table for each of three sizes of block, so that a large leaf takes one entry.
//
// One thread looks up and inserts; any thread may forget. An entry is two words. The tag says which block of inputs and under
// which number they are kept, and is the only word that another thread writes: 0, nothing. How forgetting and inserting at the
// same time come out right is the business of lookaside.h.
//
//   tag      63 number of the block 12 | 11 number of the context 0    never 0: contexts count from 1
//   offset   63 pointer - input     12 |  2 present, 1 write, 0 read   both are multiples of 4 KiB
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "swiommu/base/access.h"
#include "swiommu/base/bits.h"
#include "swiommu/base/range.h"
#include "swiommu/device/last_translation.h"
#include "swiommu/memory/mapping.h"

namespace swiommu {

class Iotlb {
 public:
  static constexpr std::uint32_t most_contexts = 4095;

  // The blocks that an entry can stand for, largest first.
  struct Size {
    std::uint8_t block_lg2;
    std::uint8_t sets_lg2;
  };
  static constexpr std::array<Size, 3> sizes{{{30, 7}, {21, 11}, {12, 15}}};

  // What is kept of one input, whose byte is at input + (offset without its low 12 bits).
  struct Found {
    std::uint64_t offset = 0;
    std::uint64_t rest = 0;  // of the block's bytes behind the first; 0: nothing is kept that allows the access

    [[nodiscard]] explicit operator bool() const { return rest != 0; }
    [[nodiscard]] std::byte* data(std::uint64_t input) const { return std::bit_cast<std::byte*>(input + align_down(offset, 12)); }
  };
  // Takes address space; memory only where entries are. ENOMEM.
  static Result<Iotlb> create() {
    auto memory = Mapping::zeros(bytes);
    if (!memory) return std::unexpected(std::move(memory).error());
    return Iotlb(std::move(*memory));
  }

  [[nodiscard, gnu::always_inline]] Found find(std::uint64_t input, std::uint64_t rights, std::uint32_t context) const {
    Found found;
    std::uint64_t const used = load(used_);
    if (!((used & bit(0)) != 0 && find_in<0>(input, rights, context, found)) &&
        !((used & bit(1)) != 0 && find_in<1>(input, rights, context, found)) && (used & bit(2)) != 0)
      find_in<2>(input, rights, context, found);
    return found;
  }

  // Asks the processor for what find() reads.
  void prefetch(std::uint64_t input) const {
    for (std::size_t n = 0; n < sizes.size(); n++)
      if (used(n)) __builtin_prefetch(&at(n, input >> sizes[n].block_lg2));
  }

  // Keeps a block of sizes[n]. `data` is what its first input leads to, and as aligned as a page.
  void insert(std::size_t n, std::uint64_t input, std::byte* data, Access granted, std::uint32_t context) {
    unsigned const lg2 = sizes[n].block_lg2;
    std::uint64_t const wanted = tag(input, lg2, context);
    std::uint64_t const offset = std::bit_cast<std::uint64_t>(data) - align_down(input, lg2);
    store(used_, load(used_) | bit(n));
    Set& set = at(n, input >> lg2);
    // Never moved from one place to the other: who forgets it could have looked at both, and met it at neither.
    std::size_t way = turn_ ^= 1;
    if (load(set[way].tag) != 0 && load(set[way ^ 1].tag) == 0) way ^= 1;
    if (load(set[way ^ 1].tag) == wanted) way ^= 1;
    Entry* const entry = &set[way];
    store(entry->tag, 0);
    store(entry->offset, offset | LastTranslation::rights_of(granted));
    store(entry->tag, wanted);
  }

  // Forgets what insert() has just put in the set of an input.
  void drop(std::size_t n, std::uint64_t input) {
    for (Entry& entry : at(n, input >> sizes[n].block_lg2)) store(entry.tag, 0);
  }

  // Forgets all blocks that have inputs in the range, of every context. Any thread. Takes time for each page of the range.
  void forget(Range inputs) {
    for (std::size_t n = 0; n < sizes.size(); n++) {
      if (!used(n)) continue;
      std::uint64_t const last = inputs.last >> sizes[n].block_lg2;
      for (std::uint64_t block = inputs.start >> sizes[n].block_lg2;; block++) {
        for (Entry& entry : at(n, block))
          if (load(entry.tag) >> context_bits == block) store(entry.tag, 0);
        if (block == last) break;
      }
    }
  }

  // Forgets everything.
  void clear() {
    for (std::size_t n = 0; n < sizes.size(); n++) {
      if (!used(n)) continue;
      for (std::size_t i = 0; i < bit(sizes[n].sets_lg2); i++)
        for (Entry& entry : sets(n)[i])
          if (load(entry.tag) != 0) store(entry.tag, 0);
    }
  }

 private:
  struct Entry {
    std::uint64_t tag;
    std::uint64_t offset;
  };
  using Set = std::array<Entry, 2>;

  static constexpr unsigned context_bits = 12;
  // Where the sets of each size begin, and end.
  static constexpr std::array<std::size_t, sizes.size() + 1> first_set = [] {
    std::array<std::size_t, sizes.size() + 1> first{};
    for (std::size_t n = 0; n < sizes.size(); n++) first[n + 1] = first[n] + bit(sizes[n].sets_lg2);
    return first;
  }();
  static constexpr std::size_t bytes = first_set.back() * sizeof(Set);

  explicit Iotlb(Mapping memory) : memory_(std::move(memory)), sets_(reinterpret_cast<Set*>(memory_.data())) {}

  static std::uint64_t load(std::uint64_t const& word) { return __atomic_load_n(&word, __ATOMIC_RELAXED); }
  static void store(std::uint64_t& word, std::uint64_t value) { __atomic_store_n(&word, value, __ATOMIC_RELAXED); }

  static std::uint64_t tag(std::uint64_t input, unsigned lg2, std::uint32_t context) {
    return input >> lg2 << context_bits | context;
  }
  template <std::size_t n>
  [[gnu::always_inline]] bool find_in(std::uint64_t input, std::uint64_t rights, std::uint32_t context, Found& found) const {
    constexpr unsigned lg2 = sizes[n].block_lg2;
    std::uint64_t const wanted = tag(input, lg2, context);
    Set const& set = at(n, input >> lg2);
    // Without a branch: which of the two it is follows no pattern.
    Entry const& entry = set[load(set[1].tag) == wanted ? 1 : 0];
    std::uint64_t const offset = load(entry.offset);
    if (load(entry.tag) != wanted || (rights & ~offset) != 0) return false;
    found = {offset, low_bits(lg2)};
    return true;
  }

  [[nodiscard]] bool used(std::size_t n) const { return (load(used_) & bit(n)) != 0; }
  [[nodiscard]] Set* sets(std::size_t n) const { return sets_ + first_set[n]; }
  // Neighbours have sets of their own; what lies a multiple of the table's reach apart is spread by the bits above.
  [[nodiscard]] Set& at(std::size_t n, std::uint64_t block) const {
    unsigned const lg2 = sizes[n].sets_lg2;
    return sets(n)[(block ^ block >> lg2) & low_bits(lg2)];
  }

  Mapping memory_;
  Set* sets_;
  std::size_t turn_ = 0;    // the place of a set that gives way next
  std::uint64_t used_ = 0;  // bit n: blocks of sizes[n] have been kept
};

}  // namespace swiommu
