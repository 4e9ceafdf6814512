#include "oracle/table_builder.h"

#include <utility>

namespace swiommu::oracle {

TableBuilder::TableBuilder(Random& random, GuestMemory& memory, TableShape shape, AddressOf address_of)
    : random_(random), memory_(memory), shape_(std::move(shape)), address_of_(std::move(address_of)) {
  root_ = memory_.allocate(random_, shape_.root_size_lg2);
  root_address_ = address_of_(root_, shape_.root_size_lg2);
}

unsigned TableBuilder::any_leaf_level() {
  for (;;) {
    // small leaves more often, so that there are tables to share
    unsigned level = 0;
    while (level + 1 < shape_.levels && one_in(random_, 3)) level++;
    if ((shape_.leaf_levels & bit(level)) != 0) return level;
  }
}

// Often next to what there is. The low bits are those of `address`.
std::uint64_t TableBuilder::any_input(unsigned fixed_lg2, std::uint64_t address) {
  std::uint64_t input = random_();
  if (!inputs_.empty() && !one_in(random_, 4)) {
    unsigned const kept = shape_.shift(static_cast<unsigned>(below(random_, shape_.levels)));
    input = align_down(inputs_[below(random_, inputs_.size())], kept) | (input & low_bits(kept));
  }
  return (align_down(input, fixed_lg2) | (address & low_bits(fixed_lg2))) & low_bits(shape_.input_bits());
}

std::uint64_t TableBuilder::map(std::uint64_t block, unsigned size_lg2) {
  std::uint64_t const address = address_of_(block, size_lg2);
  std::uint64_t input = 0;
  for (unsigned attempt = 0; attempt < 8; attempt++) {
    unsigned level = any_leaf_level();
    bool const small = shape_.shift(level) < size_lg2;
    if (small) level = 0;
    unsigned const run_lg2 = shape_.most_run_lg2 != 0 && !small && one_in(random_, 3)
                                 ? static_cast<unsigned>(below(random_, shape_.most_run_lg2 + 1))
                                 : 0;
    unsigned const size = shape_.shift(level) + run_lg2;
    input = any_input(small ? size_lg2 : size, address);
    bool placed = true;
    for (std::uint64_t at = 0; at == 0 || at < bit(size_lg2); at += bit(size))
      placed = place(address + at, input + at, level, run_lg2) && placed;
    if (placed) break;
  }
  inputs_.push_back(input);
  return input;
}

bool TableBuilder::place(std::uint64_t address, std::uint64_t input, unsigned leaf_level, unsigned run_lg2) {
  std::uint64_t table = root_;
  for (unsigned level = shape_.levels - 1;; level--) {
    unsigned const bits = level + 1 == shape_.levels ? shape_.root_index_bits : shape_.index_bits;
    std::uint64_t const entry = table + 8 * (input >> shape_.shift(level) & low_bits(bits));
    if (level == leaf_level) {
      if (memory_.get(entry) != 0) return false;
      memory_.set(entry, shape_.leaf(align_down(address, shape_.shift(level) + run_lg2), level, run_lg2));
      entries_.push_back(entry);
      return true;
    }
    if (memory_.get(entry) == 0) {
      std::uint64_t const next = memory_.allocate(random_, shape_.granule_lg2);
      tables_[entry] = next;
      memory_.set(entry, shape_.table(address_of_(next, shape_.granule_lg2), level));
      entries_.push_back(entry);
    }
    auto const next = tables_.find(entry);
    if (next == tables_.end()) return false;  // a leaf is in the way
    table = next->second;
  }
}

void spoil(Random& random, GuestMemory& memory, std::vector<std::uint64_t> const& entries, unsigned shift) {
  std::uint64_t at = entries[below(random, entries.size())];
  if (one_in(random, 8)) at = memory.any_structure(random) + 8 * below(random, GuestMemory::page / 8);
  std::uint64_t const address = bit_span(51, 12) >> shift;
  std::uint64_t const word = memory.get(at);
  auto const set = [&](std::uint64_t value) { memory.set(at, value); };
  switch (below(random, 10)) {
    case 0: return set(random());
    case 1: return set(0);
    case 2: return set((word & ~address) | memory.any_structure(random) >> shift);  // tables that share, or contain themselves
    case 3: return set((word & ~address) | (random() & address));                   // an address that is nowhere, most likely
    case 4: return set(memory.get(entries[below(random, entries.size())]));         // an entry of another level
    case 5: return set(word ^ (random() & low_bits(12)));
    case 6: return set(word ^ (random() & bit_span(63, 52)));
    case 7: return set(word ^ bit(static_cast<unsigned>(below(random, 12))));
    case 8: return set(word | bit(static_cast<unsigned>(32 + below(random, 20))));  // an address that is too large
    default: return set(word ^ bit(static_cast<unsigned>(below(random, 64))));
  }
}

}  // namespace swiommu::oracle
