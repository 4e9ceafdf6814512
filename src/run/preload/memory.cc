// mmap(2), munmap(2), mremap(2), madvise(2), mprotect(2), brk(2), shmdt(2).
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdarg>

#include "memory/own_mappings.h"
#include "run/file_mappings.h"
#include "run/kernel_call.h"
#include "run/memory_events.h"
#include "run/preload/answer.h"
#include "run/preload/exported.h"
#include "run/preload/next.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"
#include "swiommu/memory/mapping.h"

using namespace swiommu::run;

SWIOMMU_EXPORTED(mmap, run_mmap)
SWIOMMU_EXPORTED(mmap64, run_mmap64)
SWIOMMU_EXPORTED(munmap, run_munmap)
SWIOMMU_EXPORTED(mremap, run_mremap)
SWIOMMU_EXPORTED(madvise, run_madvise)
SWIOMMU_EXPORTED(mprotect, run_mprotect)
SWIOMMU_EXPORTED(brk, run_brk)
SWIOMMU_EXPORTED(sbrk, run_sbrk)
SWIOMMU_EXPORTED(shmdt, run_shmdt)

namespace {

std::uint64_t number(void const* pointer) { return std::bit_cast<std::uint64_t>(pointer); }

bool maps_ours(int flags, int descriptor) { return (flags & MAP_ANONYMOUS) == 0 && table().has(descriptor); }

// False: errno says why.
bool may(MemoryEvent event, std::uint64_t start, size_t length) {
  int const code = before_memory_event(event, start, length);
  if (code != 0) errno = code;
  return code == 0;
}

// Maps with `map(at, flags)`, and takes care of what is pinned there.
template <class Map>
void* map_with(void* at, size_t length, int flags, bool ours, Map map) {
  if ((flags & MAP_FIXED) != 0 && perhaps_pinned(number(at), length)) {
    // What moves aside does not come back: so first, elsewhere, whether it would work.
    if (!ours) {
      void* const trial = map(nullptr, flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE));
      if (trial == MAP_FAILED) return trial;
      kernel_call(SYS_munmap, trial, length);
    }
    if (!may(MemoryEvent::replaced, number(at), length)) return MAP_FAILED;
  }
  void* const result = map(at, flags);
  if ((flags & MAP_FIXED) == 0 && result != MAP_FAILED) after_new_mapping(number(result), length);
  return result;
}

std::uint64_t whole_pages(std::uint64_t length) {
  return (length + (swiommu::host_page_size - 1)) & ~(swiommu::host_page_size - 1);
}

// Before the heap ends there. It may not have been longer.
bool may_end_heap_at(std::uint64_t end) {
  auto const top = static_cast<std::uint64_t>(kernel_call(SYS_brk, 0));
  std::uint64_t const first = whole_pages(end);
  return first >= top || may(MemoryEvent::unmapped, first, top - first);
}

// Whatever was mapped there through our descriptors is so no more.
void* noted(void* mapped, size_t length) {
  if (mapped != MAP_FAILED && any_file_mappings()) file_mappings().forget(number(mapped), length);
  return mapped;
}

void* map_ours(void* at, size_t length, int protection, int flags, int descriptor, off_t offset) {
  Reference const held = table().find(descriptor);
  long const result = held ? held->map(descriptor, at, length, protection, flags, static_cast<std::uint64_t>(offset)) : -EBADF;
  return std::bit_cast<void*>(answer(result));
}

}  // namespace

void* run_mmap(void* at, size_t length, int protection, int flags, int descriptor, off_t offset) {
  bool const ours = maps_ours(flags, descriptor);
  return map_with(at, length, flags, ours, [&](void* where, int how) {
    if (ours) return map_ours(where, length, protection, how, descriptor, offset);
    return noted(SWIOMMU_NEXT(mmap, run_mmap)(where, length, protection, how, descriptor, offset), length);
  });
}

void* run_mmap64(void* at, size_t length, int protection, int flags, int descriptor, off_t offset) {
  bool const ours = maps_ours(flags, descriptor);
  return map_with(at, length, flags, ours, [&](void* where, int how) {
    if (ours) return map_ours(where, length, protection, how, descriptor, offset);
    return noted(SWIOMMU_NEXT(mmap64, run_mmap64)(where, length, protection, how, descriptor, offset), length);
  });
}

int run_munmap(void* at, size_t length) {
  if (!may(MemoryEvent::unmapped, number(at), length)) return -1;
  FileMappings::Map taken;
  if (any_file_mappings()) taken = file_mappings().take(number(at), length);
  int const result = SWIOMMU_NEXT(munmap, run_munmap)(at, length);
  if (result != 0 && !taken.empty()) file_mappings().put_back(std::move(taken));
  return result;
}

void* run_mremap(void* at, size_t length, size_t new_length, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void* const to = (flags & MREMAP_FIXED) != 0 ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  if ((flags & MREMAP_FIXED) != 0 && !may(MemoryEvent::replaced, number(to), new_length)) return MAP_FAILED;
  FileMappings::Map taken;
  std::uint64_t const kept = whole_pages(new_length);
  if (kept < length && !may(MemoryEvent::unmapped, number(at) + kept, length - kept)) return MAP_FAILED;
  // With a length of 0 a shared mapping gets a second one: nothing moves.
  void* const moved = remap_pinned(number(at), std::min(length, new_length), [&]() -> void* {
    if (any_file_mappings()) taken = length == 0 ? file_mappings().copy(number(at)) : file_mappings().take(number(at), length);
    void* const got = SWIOMMU_NEXT(mremap, run_mremap)(at, length, new_length, flags, to);
    return got == MAP_FAILED ? nullptr : got;
  });
  void* const result = moved == nullptr ? MAP_FAILED : moved;
  if (!any_file_mappings()) return result;
  if (result != MAP_FAILED)
    file_mappings().move(std::move(taken), number(at), number(result), new_length);
  else if (length != 0)
    file_mappings().put_back(std::move(taken));
  return result;
}

int run_madvise(void* at, size_t length, int advice) {
  switch (advice) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
      if (!may(MemoryEvent::discarded, number(at), length)) return -1;
      break;
    case MADV_REMOVE:
      if (!may(MemoryEvent::cut_out, number(at), length)) return -1;
      break;
    case MADV_FREE:
      // The kernel may free them, but not while they are pinned.
      if (perhaps_pinned(number(at), length)) return 0;
      break;
    default: break;
  }
  return SWIOMMU_NEXT(madvise, run_madvise)(at, length, advice);
}

int run_mprotect(void* at, size_t length, int protection) {
  int const result = SWIOMMU_NEXT(mprotect, run_mprotect)(at, length, protection);
  if (any_file_mappings()) file_mappings().protect(number(at), length, protection, result != 0);
  return result;
}

int run_brk(void* end) {
  if (anything_pinned() && !may_end_heap_at(number(end))) return -1;
  return SWIOMMU_NEXT(brk, run_brk)(end);
}

void* run_sbrk(intptr_t more) {
  if (more < 0 && anything_pinned()) {
    auto const top = static_cast<std::uint64_t>(kernel_call(SYS_brk, 0));
    if (!may_end_heap_at(top - (0 - static_cast<std::uint64_t>(more)))) return MAP_FAILED;
  }
  return SWIOMMU_NEXT(sbrk, run_sbrk)(more);
}

int run_shmdt(void const* at) {
  if (anything_pinned()) {
    auto const mappings = swiommu::own_mappings({number(at), ~std::uint64_t{0} >> 1});
    if (mappings && !mappings->empty() && mappings->front().range.start == number(at)) {
      if (!may(MemoryEvent::unmapped, number(at), mappings->front().range.length())) return -1;
    }
  }
  return SWIOMMU_NEXT(shmdt, run_shmdt)(at);
}
