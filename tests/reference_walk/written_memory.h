// 64 KiB that somebody filled with words that look like page tables, and room for others behind: what both the library and a
// reference walker read.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "conformance/effort.h"
#include "reference_walk/walk_result.h"
#include "swiommu/base/bits.h"
#include "swiommu/base/range.h"
#include "swiommu/memory/memory_view.h"

namespace reference_walk {

using swiommu::conformance::below;
using swiommu::conformance::one_in;
using swiommu::conformance::Random;

class WrittenMemory final : public swiommu::MemoryView {
 public:
  static constexpr std::uint64_t base = 0x10'0000, size = 0x1'0000;
  static constexpr swiommu::Range room{base + size, base + 4 * size - 1};

  // `word()` makes each.
  template <class Word>
  explicit WrittenMemory(Word const& word, bool big_endian = false) : words_((room.last + 1 - base) / 8) {
    for (std::uint64_t& each : std::span(words_).first(size / 8))
      each = big_endian ? std::byteswap(std::uint64_t{word()}) : word();
  }

  [[nodiscard]] swiommu::Chunk locate(std::uint64_t address, swiommu::Access) const override {
    if (address < base || address > room.last) return {};
    return {reinterpret_cast<std::byte*>(words_.data()) + (address - base), room.last + 1 - address};
  }
  [[nodiscard]] ReadWord reader() const {
    return [this](std::uint64_t address, unsigned bytes) -> std::optional<std::uint64_t> {
      if (bytes != 8 || address % 8 != 0 || address < base || address > room.last) return std::nullopt;
      return words_[(address - base) / 8];
    };
  }
  // An address in it that a table may have, and now and then one elsewhere.
  static std::uint64_t table(Random& random, unsigned alignment_lg2 = 12) {
    if (one_in(random, 64)) return random() & swiommu::low_bits(52) & ~swiommu::low_bits(alignment_lg2);
    return base + swiommu::align_down(below(random, size), alignment_lg2);
  }

 private:
  mutable std::vector<std::uint64_t> words_;
};

}  // namespace reference_walk
