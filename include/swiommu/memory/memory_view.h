// Memory as it is seen from one point of the tree of translations.
//
// Everything that reads tables or device structures, or moves data, asks a MemoryView for the bytes behind an address.
// Below the tree that is the host address space or a memory image; above a domain it is what that domain translates to.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "swiommu/base/access.h"
#include "swiommu/memory/device_range.h"

namespace swiommu {

// Bytes in a row. `data` stays usable as long as the view's owner promises: for an image as long as the image lives, for
// a domain as long as the caller's guard is held.
struct Chunk {
  std::byte* data = nullptr;  // nullptr: there is nothing that may be accessed like this
  std::uint64_t length = 0;   // bytes from `data` on that lie in a row, at least 1 if data is set

  [[nodiscard]] explicit operator bool() const { return data != nullptr; }
};

class Moves;

class MemoryView {
 public:
  MemoryView() = default;
  MemoryView(MemoryView const&) = delete;
  MemoryView& operator=(MemoryView const&) = delete;
  virtual ~MemoryView() = default;

  // The bytes at `address`, if they may be accessed so. Any thread may call.
  [[nodiscard]] virtual Chunk locate(std::uint64_t address, Access access) const = 0;

  // What answers at `address` instead of memory, if anything does. Any thread may call.
  [[nodiscard]] virtual FoundDevice device_range(std::uint64_t address) const;

  // May what is located vanish although its owner should have kept it? Then it is touched as in memory/doubtful_memory.h only.
  [[nodiscard]] virtual bool doubtful() const { return false; }

  // Counts up each time something that could be located no longer can, before it goes. nullptr: nobody counts.
  [[nodiscard]] virtual std::atomic<std::uint64_t> const* removals() const { return nullptr; }

  // Does what is seen here change its place? nullptr: never.
  [[nodiscard]] virtual Moves* moves() const { return nullptr; }

  // The 64-bit word at `address` (a multiple of 8), loaded atomically; nothing if it cannot be reached.
  [[nodiscard]] std::optional<std::uint64_t> load_word(std::uint64_t address, bool big_endian = false) const;

  // Copies bytes across chunks; returns how many could be copied.
  std::size_t read(std::uint64_t address, void* to, std::size_t length) const;
  std::size_t write(std::uint64_t address, void const* from, std::size_t length) const;
};

}  // namespace swiommu
