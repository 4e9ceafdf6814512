// Memory of our own process that may not be there any more: unmapped, or beyond the end of its file. What touches it here finds
// that out instead of being killed, and costs a system call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>

namespace swiommu {

// Copies from or to it, from the first byte on. Returns how many bytes were there.
std::size_t read_doubtful(void* to, void const* from, std::size_t length) noexcept;
std::size_t write_doubtful(void* to, void const* from, std::size_t length) noexcept;

// Is the page there, and writable, for the moment? For what must be done in place: what takes it away between this and that still
// kills.
bool can_be_written(void* data) noexcept;

// A naturally aligned word as somebody stored it, never a mixture of two.
template <class Word>
std::optional<Word> load_doubtful(Word const* word) noexcept {
  // The kernel may copy it byte by byte: twice the same is not a mixture, unless it was written as one.
  Word seen{}, again{};
  do {
    if (read_doubtful(&seen, word, sizeof seen) != sizeof seen || read_doubtful(&again, word, sizeof again) != sizeof again)
      return std::nullopt;
  } while (seen != again);
  return seen;
}

}  // namespace swiommu
