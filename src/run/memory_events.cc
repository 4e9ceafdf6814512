#include "run/memory_events.h"

namespace swiommu::run {

void before_memory_event(MemoryEvent, std::uint64_t, std::size_t) {}

}  // namespace swiommu::run
