// The memory of a guest that was made by hand, to be spoiled word by word and put right again. Pages lie on the heap by
// themselves, so that a sanitizer sees who reads outside; what is looked up is counted.
#pragma once
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "made_guests/made_guest.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::fuzzing {

class GuestMemory final : public MemoryView {
 public:
  explicit GuestMemory(MadeGuest const& guest) {
    for (auto const& [number, bytes] : guest.pages()) {
      auto& page = pages_[number];
      page = std::make_unique<std::byte[]>(MadeGuest::page_size);
      std::memcpy(page.get(), bytes.data(), bytes.size());
      if (number * MadeGuest::page_size >= first_data) continue;
      structures_.push_back(number * MadeGuest::page_size);
      original_.push_back(bytes);
      for (std::uint64_t at = 0; at < bytes.size(); at += 8)
        if (word(structures_.back() + at) != 0) words_.push_back(structures_.back() + at);
    }
  }

  // All structures and tables are as they were made.
  void restore() {
    for (std::size_t n = 0; n < structures_.size(); n++)
      std::memcpy(pages_.at(structures_[n] / MadeGuest::page_size).get(), original_[n].data(), original_[n].size());
  }

  // Addresses of the words of structures and tables that are not zero, and of the pages that they are in.
  [[nodiscard]] std::vector<std::uint64_t> const& words() const { return words_; }
  [[nodiscard]] std::vector<std::uint64_t> const& structures() const { return structures_; }

  [[nodiscard]] std::uint64_t& word(std::uint64_t address) {
    return *reinterpret_cast<std::uint64_t*>(pages_.at(address / MadeGuest::page_size).get() + address % MadeGuest::page_size);
  }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access) const override {
    lookups_++;
    auto const found = pages_.find(address / MadeGuest::page_size);
    if (found == pages_.end()) return {};
    std::uint64_t const offset = address % MadeGuest::page_size;
    return {found->second.get() + offset, MadeGuest::page_size - offset};
  }
  // How often locate() was called; how many words at most were read.
  [[nodiscard]] std::uint64_t lookups() const { return lookups_; }

 private:
  static constexpr std::uint64_t first_data = 0x80000000;  // as the made guests have it

  std::unordered_map<std::uint64_t, std::unique_ptr<std::byte[]>> pages_;
  std::vector<std::uint64_t> words_, structures_;
  std::vector<MadeGuest::Page> original_;  // of structures_
  mutable std::uint64_t lookups_ = 0;
};

}  // namespace swiommu::fuzzing
