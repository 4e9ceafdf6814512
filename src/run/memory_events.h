// What the program does to its address space, told before it is done; for memory that is pinned (domain/relocations.h).
#pragma once
#include <cstddef>
#include <cstdint>

#include "swiommu/base/function_ref.h"

namespace swiommu::run {

enum class MemoryEvent : std::uint8_t {
  unmapped,   // munmap, mremap shorter, a heap that shrinks
  replaced,   // mmap or mremap with MAP_FIXED over it
  discarded,  // madvise: its private pages go, shared ones stay in their file
  cut_out,    // madvise: its pages are taken out of their file
};

// Is any memory of this process pinned in place? A few loads and no call, so that it may be asked before main, in a signal's
// handler and by free(). In a forked child: no.
[[nodiscard]] bool anything_pinned();
// Perhaps some of this?
[[nodiscard]] bool perhaps_pinned(std::uint64_t start, std::size_t length);

// Called in the thread that does it, before it does it. `start` is as the program gave it; errors are the kernel's to find.
// Returns 0, or the errno that the program's call has to fail with, because what it would take away could not be kept.
[[nodiscard]] int before_memory_event(MemoryEvent event, std::uint64_t start, std::size_t length);

// Calls `remap`, which moves a mapping, or fails with nullptr and errno; what is pinned in it moves along.
void* remap_pinned(std::uint64_t start, std::size_t length, FunctionRef<void*()> remap);

// The kernel chose this place for a new mapping: whatever was pinned there has gone without our seeing it.
void after_new_mapping(std::uint64_t start, std::size_t length);

// Memory of the program is about to be pinned.
void before_pinning(std::uint64_t start);

}  // namespace swiommu::run
