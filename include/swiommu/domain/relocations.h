// Pinned memory whose owner takes it away: what a kernel would keep for the devices that use it, we keep in another place.
//
// For programs that promise nothing. Whoever sees what such a program does to its address space says so here, before it is done
// (run/); docs/pinning.md tells the whole of it. In short: no DMA uses the old place when a call returns, DMA that comes
// meanwhile waits, and what cannot be kept makes DMA fault.
#pragma once
#include <memory>
#include <vector>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/mutex.h"
#include "swiommu/domain/io_address_space.h"
#include "swiommu/memory/host_address_space.h"

namespace swiommu {

// Of one host address space and all I/O address spaces over it. Threads: any; calls take turns. Not inside a guard: does nothing
// then, and EDEADLK. Lock order: before every I/O address space, of which it locks all, in the order in which they were added;
// nobody else holds two.
class Relocations {
 public:
  explicit Relocations(std::shared_ptr<HostAddressSpace> memory) : memory_(std::move(memory)) {}
  Relocations(Relocations const&) = delete;
  Relocations& operator=(Relocations const&) = delete;

  // From here on pinned memory behind this address space is taken care of. ENOMEM.
  Result<void> add(std::shared_ptr<IoAddressSpace> const& space);

  // Is any memory pinned in place? One load, if the answer is no.
  [[nodiscard]] bool any() const { return !memory_->pinned_places().empty(); }
  // Perhaps some of this?
  [[nodiscard]] bool concerns(void const* data, std::uint64_t length) const;

  enum class Way : std::uint8_t {
    move,          // the pages themselves go
    move_private,  // the same, but pages of shared mappings stay: for what does not take them out of their file
    copy,          // a copy goes: for what does
  };
  // The mapping there, or what is in it, is about to go: pinned pages go aside. A mapping with none of its private pages, that
  // holds zeros or what its file does, stays behind. `data` and `length` need not be whole pages: all pages with a byte of it go.
  // What is neither pinned nor mapped, nothing happens to. ENOMEM, ENOSPC: nothing has changed.
  Result<void> move_aside(void const* data, std::uint64_t length, Way way = Way::move);

  // Calls `remap`, which moves the mapping of these whole pages elsewhere, and returns to which pointer, or nullptr if it failed,
  // which is returned. The pinned pages go with it.
  void* follow(void const* data, std::uint64_t length, FunctionRef<void*()> remap);

  // Something else is mapped there by now: what was pinned there has been lost.
  void lose(void const* data, std::uint64_t length) noexcept;

 private:
  class Turn;

  std::shared_ptr<HostAddressSpace> const memory_;
  Mutex mutex_;
  std::vector<std::weak_ptr<IoAddressSpace>> spaces_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu
