// mmap(2), munmap(2), mremap(2), madvise(2).
#include <sys/mman.h>

#include <bit>
#include <cstdarg>

#include "run/file_mappings.h"
#include "run/memory_events.h"
#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(mmap, run_mmap)
SWIOMMU_EXPORTED(mmap64, run_mmap64)
SWIOMMU_EXPORTED(munmap, run_munmap)
SWIOMMU_EXPORTED(mremap, run_mremap)
SWIOMMU_EXPORTED(madvise, run_madvise)

namespace {

std::uint64_t number(void const* pointer) { return std::bit_cast<std::uint64_t>(pointer); }

bool maps_ours(int flags, int descriptor) { return (flags & MAP_ANONYMOUS) == 0 && table().has(descriptor); }

void before_mapping(void* at, size_t length, int flags) {
  if ((flags & MAP_FIXED) != 0) before_memory_event(MemoryEvent::replaced, number(at), length);
}

// Whatever was mapped there through our descriptors is so no more.
void* noted(void* mapped, size_t length, int flags) {
  if ((flags & MAP_FIXED) != 0 && mapped != MAP_FAILED && any_file_mappings()) file_mappings().forget(number(mapped), length);
  return mapped;
}

void* map_ours(void* at, size_t length, int protection, int flags, int descriptor, off_t offset) {
  Reference const held = table().find(descriptor);
  long const result = held ? held->map(descriptor, at, length, protection, flags, static_cast<std::uint64_t>(offset)) : -EBADF;
  return std::bit_cast<void*>(answer(result));
}

}  // namespace

void* run_mmap(void* at, size_t length, int protection, int flags, int descriptor, off_t offset) {
  before_mapping(at, length, flags);
  if (maps_ours(flags, descriptor)) return map_ours(at, length, protection, flags, descriptor, offset);
  return noted(SWIOMMU_NEXT(mmap, run_mmap)(at, length, protection, flags, descriptor, offset), length, flags);
}

void* run_mmap64(void* at, size_t length, int protection, int flags, int descriptor, off_t offset) {
  before_mapping(at, length, flags);
  if (maps_ours(flags, descriptor)) return map_ours(at, length, protection, flags, descriptor, offset);
  return noted(SWIOMMU_NEXT(mmap64, run_mmap64)(at, length, protection, flags, descriptor, offset), length, flags);
}

int run_munmap(void* at, size_t length) {
  before_memory_event(MemoryEvent::unmapped, number(at), length);
  int const result = SWIOMMU_NEXT(munmap, run_munmap)(at, length);
  if (result == 0 && any_file_mappings()) file_mappings().forget(number(at), length);
  return result;
}

void* run_mremap(void* at, size_t length, size_t new_length, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void* const to = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  if (length != 0) before_memory_event(MemoryEvent::unmapped, number(at), length);
  if ((flags & MREMAP_FIXED) != 0) before_memory_event(MemoryEvent::replaced, number(to), new_length);
  void* const result = SWIOMMU_NEXT(mremap, run_mremap)(at, length, new_length, flags, to);
  if (result != MAP_FAILED && any_file_mappings()) file_mappings().move(number(at), length, number(result), new_length);
  return result;
}

int run_madvise(void* at, size_t length, int advice) {
  if (advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE)
    before_memory_event(MemoryEvent::discarded, number(at), length);
  return SWIOMMU_NEXT(madvise, run_madvise)(at, length, advice);
}
