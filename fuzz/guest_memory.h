// The memory of a guest that was made by hand, to be spoiled word by word and put right again. Pages lie on the heap by
// themselves, so that a sanitizer sees who reads outside; what is looked up is counted.
#pragma once
#include <cstring>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "made_guests/made_guest.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::fuzzing {

class GuestMemory final : public MemoryView {
 public:
  explicit GuestMemory(MadeGuest const& guest) {
    for (auto const& [number, bytes] : guest.pages()) {
      Page& page = pages_[number];
      page.bytes = std::make_unique<std::byte[]>(MadeGuest::page_size);
      page.original = bytes;
      std::memcpy(page.bytes.get(), bytes.data(), bytes.size());
      if (number * MadeGuest::page_size >= first_data) continue;
      structures_.push_back(number * MadeGuest::page_size);
      for (std::uint64_t at = 0; at < bytes.size(); at += 8)
        if (word(structures_.back() + at) != 0) words_.push_back(structures_.back() + at);
    }
  }

  // Everything is as it was made.
  void restore() {
    for (Page* const page : written_) {
      std::memcpy(page->bytes.get(), page->original.data(), page->original.size());
      page->is_written = false;
    }
    written_.clear();
  }

  // Addresses of the words of structures and tables that are not zero, and of the pages that they are in.
  [[nodiscard]] std::vector<std::uint64_t> const& words() const { return words_; }
  [[nodiscard]] std::vector<std::uint64_t> const& structures() const { return structures_; }

  [[nodiscard]] std::uint64_t& word(std::uint64_t address) {
    Page& page = pages_.at(address / MadeGuest::page_size);
    note_writing(page);
    return *reinterpret_cast<std::uint64_t*>(page.bytes.get() + address % MadeGuest::page_size);
  }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    lookups_++;
    auto const found = pages_.find(address / MadeGuest::page_size);
    if (found == pages_.end()) return {};
    std::uint64_t const offset = address % MadeGuest::page_size;
    if (access.write) note_writing(found->second);
    return {found->second.bytes.get() + offset, MadeGuest::page_size - offset};
  }
  // How often locate() was called; how many words at most were read.
  [[nodiscard]] std::uint64_t lookups() const { return lookups_; }

 private:
  static constexpr std::uint64_t first_data = 0x80000000;  // as the made guests have it

  struct Page {
    std::unique_ptr<std::byte[]> bytes;
    MadeGuest::Page original;
    bool is_written = false;
  };
  void note_writing(Page& page) const {
    if (!std::exchange(page.is_written, true)) written_.push_back(&page);
  }

  mutable std::unordered_map<std::uint64_t, Page> pages_;
  std::vector<std::uint64_t> words_, structures_;
  mutable std::vector<Page*> written_;
  mutable std::uint64_t lookups_ = 0;
};

}  // namespace swiommu::fuzzing
