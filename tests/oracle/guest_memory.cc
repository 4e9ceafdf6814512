#include "oracle/guest_memory.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace swiommu::oracle {

GuestMemory::GuestMemory(Range window, std::vector<Range> nowhere)
    : window_(window), nowhere_(std::move(nowhere)), bytes_(window.length()) {
  for (std::uint64_t at = window.start; at < window.last; at += page) fill(at);
}

std::uint64_t GuestMemory::data_at(std::uint64_t address) {
  std::uint64_t word = address * 0x9e3779b97f4a7c15;
  word ^= word >> 29;
  return word * 0xbf58476d1ce4e5b9 | 1;
}

void GuestMemory::fill(std::uint64_t page_address) {
  for (std::uint64_t at = page_address; at < page_address + page; at += 8) set(at, data_at(at));
}

Chunk GuestMemory::locate(std::uint64_t address, Access access) const {
  if (window_.contains(address)) {
    // page by page, so that it is known which have changed
    if (access.write) changed_.insert(align_down(address, 12));
    return {bytes_.data() + (address - window_.start), page - address % page};
  }
  if (std::ranges::none_of(nowhere_, [&](Range const& range) { return range.contains(address); })) strayed_ = true;
  return {};
}

void GuestMemory::start_case() {
  for (std::uint64_t const at : changed_) fill(at);
  changed_.clear();
  structures_.clear();
  strayed_ = false;
}

std::uint64_t GuestMemory::allocate(Random& random, unsigned size_lg2) {
  std::uint64_t const size = bit(size_lg2);
  for (;;) {
    std::uint64_t const at = window_.start + below(random, window_.length() / size) * size;
    auto const next = structures_.lower_bound(at);
    if (next != structures_.end() && *next < at + size) continue;
    for (std::uint64_t n = at; n < at + size; n += page) {
      structures_.insert(n);
      changed_.insert(n);
    }
    std::memset(bytes_.data() + (at - window_.start), 0, size);
    return at;
  }
}

std::uint64_t GuestMemory::any_page(Random& random) const {
  return window_.start + below(random, window_.length() / page) * page;
}

std::uint64_t GuestMemory::any_structure(Random& random) const {
  return *std::next(structures_.begin(), static_cast<std::ptrdiff_t>(below(random, structures_.size())));
}

void GuestMemory::set(std::uint64_t address, std::uint64_t word) {
  std::memcpy(bytes_.data() + (address - window_.start), &word, sizeof word);
}

std::uint64_t GuestMemory::get(std::uint64_t address) const {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes_.data() + (address - window_.start), sizeof word);
  return word;
}

}  // namespace swiommu::oracle
