// Guest memory for tests that map a recorded guest through ioctls: what the image holds, and pages that the recording names and
// the image left out.
#pragma once
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "swiommu/base/bits.h"
#include "swiommu/memory/memory_image.h"

namespace swiommu {

class BackedGuest {
 public:
  static constexpr std::uint64_t page = 4096;
  struct Piece {
    Range guest;
    std::byte* data = nullptr;
  };

  BackedGuest() = default;
  BackedGuest(BackedGuest const&) = delete;
  BackedGuest& operator=(BackedGuest const&) = delete;
  ~BackedGuest() {
    if (bytes_ != nullptr) ::munmap(bytes_, size_);
  }

  void want(std::uint64_t address) { pages_.insert(align_down(address, 12)); }
  void leave_out(Range range) { pages_.erase(pages_.lower_bound(align_down(range.start, 12)), pages_.upper_bound(range.last)); }

  // Backs all that is wanted, with the image's bytes where it has some; elsewhere each word holds its own address.
  void back(MemoryImage const& image) {
    size_ = pages_.size() * page;
    bytes_ = static_cast<std::byte*>(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::byte* next = bytes_;
    for (std::uint64_t const address : pages_) {
      for (std::uint64_t at = 0; at < page; at += 8) {
        std::uint64_t const word = address + at;
        std::memcpy(next + at, &word, 8);
      }
      for (std::uint64_t at = 0; at < page;) {
        Chunk const chunk = image.locate(address + at, Access::reading());
        std::uint64_t const part = chunk ? std::min(chunk.length, page - at) : 8;
        if (chunk) {
          std::memcpy(next + at, chunk.data, part);
          of_image_.insert(address);
        }
        at += part;
      }
      if (!pieces_.empty() && pieces_.back().guest.last + 1 == address)
        pieces_.back().guest.last += page;
      else
        pieces_.push_back({{address, address + page - 1}, next});
      next += page;
    }
  }

  [[nodiscard]] std::vector<Piece> const& pieces() const { return pieces_; }
  // nullptr: not backed.
  [[nodiscard]] std::byte* data(std::uint64_t guest) const {
    for (Piece const& piece : pieces_)
      if (piece.guest.contains(guest)) return piece.data + (guest - piece.guest.start);
    return nullptr;
  }
  [[nodiscard]] bool of_image(std::uint64_t guest) const { return of_image_.contains(align_down(guest, 12)); }

 private:
  std::set<std::uint64_t> pages_;
  std::set<std::uint64_t> of_image_;
  std::vector<Piece> pieces_;
  std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace swiommu
