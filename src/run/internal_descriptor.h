// A descriptor of our own that the program cannot see, closed when the object dies.
#pragma once
#include "run/process_state.h"

namespace swiommu::run {

class InternalDescriptor {
 public:
  explicit InternalDescriptor(int descriptor) : descriptor_(descriptor) {}
  InternalDescriptor(InternalDescriptor const&) = delete;
  InternalDescriptor& operator=(InternalDescriptor const&) = delete;
  ~InternalDescriptor() { close_internal(descriptor_); }

 private:
  int const descriptor_;
};

}  // namespace swiommu::run
