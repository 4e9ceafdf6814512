// Which pages of a range have been written to, in words that the caller owns.
#pragma once
#include <bit>
#include <cstdint>
#include <span>

#include "swiommu/base/bits.h"
#include "swiommu/base/range.h"
#include "swiommu/base/result.h"

namespace swiommu {

// Bit i (of word i / 64, bit i % 64 of it) stands for the 2^page_size_lg2 bytes at start + (i << page_size_lg2). Bits are only
// ever set, so several harvests may go into the same words. A view: the words must outlive it. One thread at a time.
class DirtyBitmap {
 public:
  // Words that a bitmap needs.
  static constexpr std::uint64_t words_for(Range range, unsigned page_size_lg2) {
    return (shift_right(range.last - range.start, page_size_lg2) >> 6) + 1;
  }

  // EINVAL: `words` are too few, or the range ends before it starts.
  static Result<DirtyBitmap> over(Range range, unsigned page_size_lg2, std::span<std::uint64_t> words) {
    if (range.last < range.start) return fail(EINVAL, "a range that ends before it starts");
    if (words.size() < words_for(range, page_size_lg2)) return fail(EINVAL, "the dirty bitmap is too short for its range");
    return DirtyBitmap(range, page_size_lg2, words);
  }

  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] unsigned page_size_lg2() const { return page_size_lg2_; }

  // Marks every page that has a byte in `dirty`; what lies outside the range of the bitmap is left out.
  void set(Range dirty) {
    auto const inside = dirty.intersection(range_);
    if (!inside) return;
    std::uint64_t const first = index(inside->start), last = index(inside->last);
    for (std::uint64_t word = first / 64; word <= last / 64; ++word) {
      unsigned const low = word == first / 64 ? first % 64 : 0;
      unsigned const high = word == last / 64 ? last % 64 : 63;
      words_[word] |= bit_span(high, low);
    }
  }

  // Is the page with this byte marked? False outside the range.
  [[nodiscard]] bool test(std::uint64_t address) const {
    return range_.contains(address) && (words_[index(address) / 64] & bit(index(address) % 64)) != 0;
  }

  // Calls `dirty(Range)` for each longest run of marked pages, ascending; the last may be cut by the end of the range.
  template <class Dirty>
  void for_each_dirty_range(Dirty dirty) const {
    std::uint64_t const last = index(range_.last);
    for (std::uint64_t first = find(0, true); first <= last;) {
      std::uint64_t const clean = find(first, false);
      dirty(Range{address(first), clean > last ? range_.last : address(clean) - 1});
      if (clean > last) break;
      first = find(clean, true);
    }
  }

 private:
  DirtyBitmap(Range range, unsigned page_size_lg2, std::span<std::uint64_t> words)
      : range_(range), page_size_lg2_(page_size_lg2), words_(words) {}

  [[nodiscard]] std::uint64_t index(std::uint64_t address) const { return shift_right(address - range_.start, page_size_lg2_); }
  [[nodiscard]] std::uint64_t address(std::uint64_t index) const { return range_.start + shift_left(index, page_size_lg2_); }

  // The first bit from `from` on that is set or clear as wanted; beyond the last bit if there is none.
  [[nodiscard]] std::uint64_t find(std::uint64_t from, bool wanted) const {
    std::uint64_t const last_word = index(range_.last) / 64;
    for (std::uint64_t word = from / 64; word <= last_word; ++word) {
      std::uint64_t bits = wanted ? words_[word] : ~words_[word];
      if (word == from / 64) bits &= ~low_bits(from % 64);
      if (bits != 0) return word * 64 + static_cast<unsigned>(std::countr_zero(bits));
    }
    return (last_word + 1) * 64;
  }

  Range range_;
  unsigned page_size_lg2_;
  std::span<std::uint64_t> words_;
};

}  // namespace swiommu
