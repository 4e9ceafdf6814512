// An eventfd that a program has given us, to be told of interrupts through.
#pragma once
#include "swiommu/base/descriptor.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/caller.h"

namespace swiommu::vfio {

// Threads: signal() from any thread.
class EventDescriptor {
 public:
  // None: nobody is told.
  EventDescriptor() = default;
  // The eventfd behind one of the caller's descriptors. EBADF; EINVAL: something else is behind it.
  static Result<EventDescriptor> borrow(iommufd::Caller& caller, int descriptor);

  [[nodiscard]] explicit operator bool() const { return descriptor_.get() >= 0; }
  [[nodiscard]] int get() const { return descriptor_.get(); }
  // Adds 1. Where the counter is full nothing is added: its reader has something to read anyway. Waits only if somebody else
  // fills it at this moment.
  void signal() const noexcept;
  // Takes the counter, if it is not 0. Never waits.
  [[nodiscard]] bool take() const noexcept;

 private:
  explicit EventDescriptor(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  Descriptor descriptor_;
};

}  // namespace swiommu::vfio
