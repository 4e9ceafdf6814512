// Closed ranges: `last` belongs to the range, because the top of a 64-bit space must be expressible.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>

#include "swiommu/base/bits.h"

namespace swiommu {

struct Range {
  std::uint64_t start = 0;
  std::uint64_t last = 0;  // inclusive, >= start

  static constexpr Range all() { return {0, ~std::uint64_t{0}}; }

  // The range of `length` bytes from `start`; nothing if it is empty or leaves the 64-bit space.
  static constexpr std::optional<Range> of_length(std::uint64_t start, std::uint64_t length) {
    if (length == 0 || start + (length - 1) < start) return std::nullopt;
    return Range{start, start + (length - 1)};
  }

  // The aligned block of 2^size_lg2 bytes that holds `address`.
  static constexpr Range block(std::uint64_t address, unsigned size_lg2) {
    return {align_down(address, size_lg2), address | low_bits(size_lg2)};
  }

  [[nodiscard]] constexpr bool contains(std::uint64_t address) const { return start <= address && address <= last; }
  [[nodiscard]] constexpr bool contains(Range other) const { return start <= other.start && other.last <= last; }
  [[nodiscard]] constexpr bool overlaps(Range other) const { return start <= other.last && other.start <= last; }

  // Length in bytes; 0 stands for the whole 64-bit space.
  [[nodiscard]] constexpr std::uint64_t length() const { return last - start + 1; }

  [[nodiscard]] constexpr std::optional<Range> intersection(Range other) const {
    if (!overlaps(other)) return std::nullopt;
    return Range{std::max(start, other.start), std::min(last, other.last)};
  }

  constexpr bool operator==(Range const&) const = default;
};

}  // namespace swiommu
