// Where and what to map in a test: places that fit whatever the format.
#pragma once
#include <algorithm>
#include <vector>

#include "conformance/format_under_test.h"

namespace swiommu::conformance {

// The aligned blocks of 2^size_lg2 inputs at the edges and in the middle of what the table takes.
inline std::vector<Range> places(FormatUnderTest const& format, unsigned size_lg2) {
  std::vector<Range> all;
  auto const add = [&](Range half, std::uint64_t input) {
    Range const block = Range::block(input, size_lg2);
    if (half.contains(block) && std::find(all.begin(), all.end(), block) == all.end()) all.push_back(block);
  };
  for (Range const half : format.inputs()) {
    add(half, half.start);
    add(half, half.start + bit(size_lg2));  // 0 if that is all
    add(half, half.start + (half.last - half.start) / 3 * 2);
    add(half, half.last);
  }
  return all;
}

// An output of 2^size_lg2 bytes, aligned to its size; different `salt`, mostly different output.
inline std::uint64_t output_for(FormatUnderTest const& format, std::uint64_t salt, unsigned size_lg2) {
  std::uint64_t const mixed = (salt + 1) * 0x9e37'79b9'7f4a'7c15 ^ (salt << 40 | salt << 20);
  return align_down(mixed & low_bits(format.output_bits), size_lg2);
}

// Can an entry of this size be placed at all, once for the input and once for the output?
inline bool has_room(FormatUnderTest const& format, unsigned size_lg2) {
  return size_lg2 <= format.output_bits && !places(format, size_lg2).empty();
}

// Sizes that have room, each with the next smaller ones, and with the smallest page if that is not too many of them.
struct SizePair {
  unsigned small_lg2, large_lg2;
};
inline std::vector<SizePair> size_pairs(FormatUnderTest const& format) {
  std::vector<SizePair> pairs;
  std::vector<unsigned> const sizes = format.chosen_sizes();
  for (std::size_t large = 1; large < sizes.size(); large++)
    for (std::size_t small = 0; small < large; small++)
      if (has_room(format, sizes[large]) && (large - small <= 2 || (small == 0 && sizes[large] - sizes[small] <= 13)))
        pairs.push_back({sizes[small], sizes[large]});
  return pairs;
}

}  // namespace swiommu::conformance
