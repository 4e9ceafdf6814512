// What the program does to its address space, told before it is done.
#pragma once
#include <cstddef>
#include <cstdint>

namespace swiommu::run {

enum class MemoryEvent : std::uint8_t {
  unmapped,   // munmap, mremap away or shorter
  replaced,   // mmap or mremap with MAP_FIXED over it
  discarded,  // madvise: its contents go
};

// Called in the thread that does it, before it does it. `start` is as the program gave it; errors are the kernel's to find.
void before_memory_event(MemoryEvent event, std::uint64_t start, std::size_t length);

}  // namespace swiommu::run
