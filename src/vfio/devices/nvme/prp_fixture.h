// Scattered memory of a host and the PRP entries or SGLs that name it, in all shapes that drivers make.
#pragma once
#include <algorithm>
#include <numeric>

#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {

// Pages in random order, of which a buffer takes as many as it needs.
class ScatteredMemory {
 public:
  ScatteredMemory(NvmeTest& test, std::uint64_t count, std::mt19937_64& random) : test_(test), random_(random) {
    std::uint64_t const start = test.allocate(count * page);
    for (std::uint64_t n = 0; n < count; n++) pages_.push_back(start + n * page);
  }

  struct Buffer {
    std::uint64_t prp1 = 0, prp2 = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pieces;  // iova and length
  };
  Buffer make(std::uint64_t length) {
    std::ranges::shuffle(pages_, random_);
    if (random_() % 4 == 0) std::ranges::sort(pages_);  // pages in a row
    auto next = pages_.begin();
    std::uint64_t const offset = random_() % 3 == 0 ? 0 : random_() % (page / 4) * 4;
    Buffer buffer{.prp1 = *next++ + offset};
    std::uint64_t left = length - std::min(length, page - offset);
    buffer.pieces.emplace_back(buffer.prp1, length - left);
    std::vector<std::uint64_t> entries;
    while (left != 0) {
      entries.push_back(*next);
      buffer.pieces.emplace_back(*next++, std::min(left, page));
      left -= std::min(left, page);
    }
    if (entries.size() == 1) buffer.prp2 = entries[0];
    if (entries.size() > 1) buffer.prp2 = put_list(entries, next);
    return buffer;
  }
  // The same buffer by descriptors of its pieces, in segments of a few.
  void name_by_sgl(Buffer const& buffer, Command& command) {
    command.flags = 0x40;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> left(buffer.pieces.rbegin(), buffer.pieces.rend());
    void* slot = &command.prp1;  // where the next descriptor goes
    while (true) {
      if (left.size() == 1 && slot == &command.prp1 && random_() % 2 == 0) {
        put_descriptor(slot, left.back().first, left.back().second, 0);
        return;
      }
      std::uint64_t const most = 1 + random_() % 100, here = std::min<std::uint64_t>(most, left.size());
      bool const last = here == left.size();
      std::uint64_t const segment = test_.allocate() + random_() % 100 * 4;
      put_descriptor(slot, segment, 16 * (here + (last ? 0 : 1)), last ? 3 : 2);
      for (std::uint64_t n = 0; n < here; n++) {
        slot = test_.data(segment + 16 * n);
        put_descriptor(slot, left.back().first, left.back().second, 0);
        left.pop_back();
      }
      if (last) return;
      slot = test_.data(segment + 16 * here);
    }
  }
  void fill(Buffer const& buffer, std::vector<std::byte> const& bytes) {
    std::size_t done = 0;
    for (auto const& [iova, length] : buffer.pieces)
      std::memcpy(test_.data(iova), &bytes[std::exchange(done, done + length)], length);
  }
  std::vector<std::byte> contents(Buffer const& buffer) {
    std::vector<std::byte> bytes;
    for (auto const& [iova, length] : buffer.pieces) bytes.insert(bytes.end(), test_.data(iova), test_.data(iova) + length);
    return bytes;
  }

 private:
  static void put_descriptor(void* at, std::uint64_t address, std::uint64_t length, std::uint64_t type) {
    std::uint64_t const words[] = {address, length | type << 60};
    std::memcpy(at, words, sizeof words);
  }
  // The list begins somewhere in its page, often near the end, so that it goes on elsewhere.
  std::uint64_t put_list(std::vector<std::uint64_t> const& entries, std::vector<std::uint64_t>::iterator next) {
    std::uint64_t const start = *next++ + (page - 8 * (1 + random_() % (random_() % 2 == 0 ? 4 : page / 8)));
    std::uint64_t at = start;
    for (std::size_t n = 0; n < entries.size(); n++) {
      if (at % page == page - 8 && n + 1 < entries.size()) {
        *test_.data<std::uint64_t>(at) = *next;
        at = *next++;
      }
      *test_.data<std::uint64_t>(at) = entries[n];
      at += 8;
    }
    return start;
  }

  NvmeTest& test_;
  std::mt19937_64& random_;
  std::vector<std::uint64_t> pages_;
};

}  // namespace swiommu::vfio::nvme
