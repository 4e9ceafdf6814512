#include "run/memory_events.h"

#include <malloc.h>

#include <bit>
#include <cerrno>

#include "run/kernel_call.h"
#include "run/owner.h"
#include "run/process_state.h"

namespace swiommu::run {
namespace {

// nullptr: nothing was opened in this process. Does not look around, as process_state() would.
Relocations* relocations() {
  ProcessState* const state = detail::current_state.load(std::memory_order_acquire);
  if (state == nullptr || state->phase.load(std::memory_order_acquire) != ProcessState::known) return nullptr;
  Owner* const owner = state->owner.load(std::memory_order_acquire);
  return owner == nullptr ? nullptr : &owner->engine().relocations();
}

void const* pointer(std::uint64_t address) { return std::bit_cast<void const*>(address); }

Relocations::Way way_of(MemoryEvent event) {
  switch (event) {
    case MemoryEvent::discarded: return Relocations::Way::move_private;
    case MemoryEvent::cut_out: return Relocations::Way::copy;
    default: return Relocations::Way::move;
  }
}

}  // namespace

bool anything_pinned() {
  Relocations const* const known = relocations();
  return known != nullptr && known->any();
}

bool perhaps_pinned(std::uint64_t start, std::size_t length) {
  Relocations const* const known = relocations();
  return known != nullptr && length != 0 && known->concerns(pointer(start), length);
}

int before_memory_event(MemoryEvent event, std::uint64_t start, std::size_t length) {
  Relocations* const known = relocations();
  // What does not begin with a page the kernel refuses.
  if (known == nullptr || !known->any() || (start & (host_page_size - 1)) != 0) return 0;
  int const before = errno;
  auto const moved = known->move_aside(pointer(start), length, way_of(event));
  errno = before;
  return moved || moved.error().code == EDEADLK ? 0 : ENOMEM;
}

void* remap_pinned(std::uint64_t start, std::size_t length, FunctionRef<void*()> remap) {
  Relocations* const known = relocations();
  return known == nullptr || !known->any() ? remap() : known->follow(pointer(start), length, remap);
}

void after_new_mapping(std::uint64_t start, std::size_t length) {
  Relocations* const known = relocations();
  if (known == nullptr || !known->any()) return;
  int const before = errno;
  known->lose(pointer(start), length);
  errno = before;
}

void before_pinning(std::uint64_t start) {
  // The C library gives back the top of the heap with calls that nobody can see; from here on it keeps it.
  auto const top = static_cast<std::uint64_t>(kernel_call(SYS_brk, 0));
  constexpr std::uint64_t near = std::uint64_t{1} << 36;
  if (start < top && top - start < near) ::mallopt(M_TRIM_THRESHOLD, -1);
}

}  // namespace swiommu::run
