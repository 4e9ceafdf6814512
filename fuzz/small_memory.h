// Little memory in which a fuzzer's words often find each other.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

#include "fuzz_input.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu {

// Sixteen pages at `base`, on the heap by themselves, so that a sanitizer sees who reads outside. What is not filled is zero.
class SmallMemory final : public MemoryView {
 public:
  static constexpr std::uint64_t base = 0x10000;
  static constexpr std::uint64_t size = 0x10000;

  // Pieces of (place in units of 8 bytes: 16 bits, number of words: 8 bits, words). In every other piece the words are shortened:
  // 16 bits of flags below, and an address of this memory.
  explicit SmallMemory(FuzzInput& input) : bytes_(std::make_unique<std::byte[]>(size)) {
    while (!input.rest().empty()) {
      std::uint64_t at = input.take<std::uint16_t>() % (size / 8) * 8;
      unsigned const words = input.below(64);
      bool const shortened = input.flag();
      for (unsigned n = 0; n <= words && at < size; n++, at += 8) {
        std::uint64_t word = shortened ? input.take<std::uint16_t>() : input.number();
        if (shortened) word = (word & 0xfff) | base | (word >> 12) << 12;
        std::memcpy(bytes_.get() + at, &word, sizeof word);
      }
    }
  }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access) const override {
    if (address < base || address - base >= size) return {};
    return {bytes_.get() + (address - base), size - (address - base)};
  }

 private:
  std::unique_ptr<std::byte[]> bytes_;
};

}  // namespace swiommu
