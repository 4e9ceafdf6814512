#include "run/preload/heap.h"

#include <malloc.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "run/memory_events.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "swiommu/base/range.h"
#include "swiommu/memory/mapping.h"

using namespace swiommu::run;

// free and realloc of the C library, under names that nobody takes over.
extern "C" void __libc_free(void* data);
extern "C" void* __libc_realloc(void* data, size_t length);

extern "C" void run_free(void* data);
extern "C" void* run_realloc(void* data, size_t length);
extern "C" int run_malloc_trim(size_t pad);
SWIOMMU_EXPORTED(free, run_free)
SWIOMMU_EXPORTED(realloc, run_realloc)
SWIOMMU_EXPORTED(malloc_trim, run_malloc_trim)

namespace {

constinit NextFunction free_entry __attribute__((section("swiommu_next"), used)){"free", nullptr};
constinit NextFunction realloc_entry __attribute__((section("swiommu_next"), used)){"realloc", nullptr};

// The mapping that free() would unmap. glibc keeps two words in front of a chunk: what of the mapping is before them, and the
// rest of its size, with bit 1 set if it is a mapping of its own (malloc/malloc.c, "struct malloc_chunk").
std::optional<swiommu::Range> mapping_of(void* data) {
  if (free_entry.address.load(std::memory_order_relaxed) != reinterpret_cast<void*>(&__libc_free)) return std::nullopt;
  constexpr std::uint64_t mapped_bit = 2, flags = 7, page = swiommu::host_page_size;
  auto const* const words = static_cast<std::uint64_t const*>(data) - 2;
  if ((words[1] & mapped_bit) == 0) return std::nullopt;
  std::uint64_t const before = words[0], size = words[1] & ~flags;
  std::uint64_t const start = reinterpret_cast<std::uintptr_t>(words) - before;
  if (start % page != 0 || (before + size) % page != 0) return std::nullopt;
  return swiommu::Range{start, start + (before + size) - 1};
}

// False: the chunk must stay, because something pinned in it could not be kept otherwise.
bool move_pinned_aside(void* data) {
  auto const mapping = mapping_of(data);
  if (!mapping || !perhaps_pinned(mapping->start, mapping->length())) return true;
  auto* const words = static_cast<std::uint64_t*>(data) - 2;
  std::uint64_t const kept[2] = {words[0], words[1]};
  if (before_memory_event(MemoryEvent::unmapped, mapping->start, mapping->length()) != 0) return false;
  // What stays behind is empty, and free() looks at this.
  std::memcpy(words, kept, sizeof kept);
  return true;
}

}  // namespace

namespace swiommu::run {

void next_free(void* data) {
  void* const next = free_entry.address.load(std::memory_order_relaxed);
  next == nullptr ? __libc_free(data) : reinterpret_cast<decltype(&__libc_free)>(next)(data);
}

void* next_realloc(void* data, unsigned long length) {
  void* const next = realloc_entry.address.load(std::memory_order_relaxed);
  return next == nullptr ? __libc_realloc(data, length) : reinterpret_cast<decltype(&__libc_realloc)>(next)(data, length);
}

}  // namespace swiommu::run

extern "C" void run_free(void* data) {
  if (data != nullptr && anything_pinned()) [[unlikely]] {
    if (!move_pinned_aside(data)) return;
  }
  next_free(data);
}

// Pinned memory stays the device's, and the program gets a copy.
extern "C" void* run_realloc(void* data, size_t length) {
  if (data == nullptr || !anything_pinned()) [[likely]]
    return next_realloc(data, length);
  auto const mapping = mapping_of(data);
  if (!mapping || !perhaps_pinned(mapping->start, mapping->length())) return next_realloc(data, length);
  if (length == 0) return run_free(data), nullptr;
  std::size_t const usable = ::malloc_usable_size(data);
  void* const copy = std::malloc(length);
  if (copy == nullptr) return nullptr;
  std::memcpy(copy, data, usable < length ? usable : length);
  run_free(data);
  return copy;
}

extern "C" int run_malloc_trim(size_t pad) {
  if (anything_pinned()) return 0;  // nothing given back
  return SWIOMMU_NEXT(malloc_trim, run_malloc_trim)(pad);
}

// Calls in our own code.
extern "C" void __wrap_free(void* data) { next_free(data); }
extern "C" void* __wrap_realloc(void* data, size_t length) { return next_realloc(data, length); }
