// Memory for tests: pages that exist once a word was written to them. What was never written is not there.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>

#include "swiommu/memory/memory_view.h"

namespace swiommu {

class WordMemory : public MemoryView {
 public:
  static constexpr std::uint64_t page_size = 4096;

  // Writes words (in the machine's byte order, which stands for little endian here) from `address`, a multiple of 8.
  void set(std::uint64_t address, std::initializer_list<std::uint64_t> words) {
    for (std::uint64_t const word : words) {
      at(address) = word;
      address += sizeof(word);
    }
  }
  void set(std::uint64_t address, std::uint64_t word) { at(address) = word; }

  // The word at `address`; its page is made if it is not there.
  std::uint64_t& at(std::uint64_t address) {
    auto& page = pages_[address / page_size];
    if (!page) page = std::make_unique<Page>();
    return (*page)[address % page_size / sizeof(std::uint64_t)];
  }

  // Makes the page at `address` exist, full of zeros if it is new.
  void add_page(std::uint64_t address) { at(address / page_size * page_size); }
  void remove_page(std::uint64_t address) { pages_.erase(address / page_size); }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access) const override {
    auto const found = pages_.find(address / page_size);
    if (found == pages_.end()) return {};
    std::uint64_t const offset = address % page_size;
    return {reinterpret_cast<std::byte*>(found->second->data()) + offset, page_size - offset};
  }

 private:
  using Page = std::array<std::uint64_t, page_size / sizeof(std::uint64_t)>;
  std::map<std::uint64_t, std::unique_ptr<Page>> pages_;
};

}  // namespace swiommu
