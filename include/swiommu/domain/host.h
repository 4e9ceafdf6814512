// What all domains of one tree stand on.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>

#include "swiommu/base/grace_period.h"
#include "swiommu/memory/memory_view.h"
#include "swiommu/memory/table_allocator.h"

namespace swiommu {

// Handles only: copying a Host shares what they refer to.
struct Host {
  std::shared_ptr<MemoryView const> memory;  // bytes behind host addresses: the host address space, or a memory image
  std::shared_ptr<TableAllocator> tables;    // for page tables of our own
  GracePeriod grace;                         // waits for DMA
  // The number of the last generation of any domain (Domain::generation()).
  std::shared_ptr<std::atomic<std::uint64_t>> generations = std::make_shared<std::atomic<std::uint64_t>>(0);

  // A host over `memory` with an allocator and a grace period of its own. ENOMEM; ENOSYS.
  static Result<Host> create(std::shared_ptr<MemoryView const> memory);
};

}  // namespace swiommu
