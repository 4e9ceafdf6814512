#include "swiommu/memory/memory_view.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "swiommu/memory/doubtful_memory.h"

namespace swiommu {

FoundDevice MemoryView::device_range(std::uint64_t) const { return {}; }

std::optional<std::uint64_t> MemoryView::load_word(std::uint64_t address, bool big_endian) const {
  Chunk const chunk = locate(address, Access::reading());
  if (!chunk || chunk.length < sizeof(std::uint64_t) || reinterpret_cast<std::uintptr_t>(chunk.data) % sizeof(std::uint64_t) != 0)
    return std::nullopt;
  auto* const word = reinterpret_cast<std::uint64_t*>(chunk.data);
  std::optional<std::uint64_t> const loaded =
      doubtful() ? load_doubtful(word) : std::optional(__atomic_load_n(word, __ATOMIC_ACQUIRE));
  if (!loaded) return std::nullopt;
  std::uint64_t const value = *loaded;
  bool const swapped = big_endian == (std::endian::native == std::endian::little);
  return swapped ? __builtin_bswap64(value) : value;
}

namespace {

// Calls `copy(chunk, done, length)`, which returns how many bytes it has copied, for each chunk of the range; returns all of
// them.
template <class Copy>
std::size_t for_each_chunk(MemoryView const& view, std::uint64_t address, std::size_t length, Access access, Copy copy) {
  std::size_t done = 0;
  while (done < length) {
    Chunk const chunk = view.locate(address + done, access);
    if (!chunk) break;
    std::size_t const part = std::min<std::uint64_t>(chunk.length, length - done);
    std::size_t const copied = copy(chunk.data, done, part);
    done += copied;
    if (copied < part) break;
  }
  return done;
}

}  // namespace

std::size_t MemoryView::read(std::uint64_t address, void* to, std::size_t length) const {
  return for_each_chunk(*this, address, length, Access::reading(), [&](std::byte* data, std::size_t done, std::size_t part) {
    auto* const there = static_cast<std::byte*>(to) + done;
    if (doubtful()) return read_doubtful(there, data, part);
    std::memcpy(there, data, part);
    return part;
  });
}

std::size_t MemoryView::write(std::uint64_t address, void const* from, std::size_t length) const {
  return for_each_chunk(*this, address, length, Access::writing(), [&](std::byte* data, std::size_t done, std::size_t part) {
    auto const* const there = static_cast<std::byte const*>(from) + done;
    if (doubtful()) return write_doubtful(data, there, part);
    std::memcpy(data, there, part);
    return part;
  });
}

}  // namespace swiommu
