// Memory of this process, handed to another one that wants to map it too.
#pragma once
#include <cstdint>

#include "run/twin_memory.h"

namespace swiommu::run {

struct SharedOutMemory {
  int error = 0;             // EFAULT: nothing that could be shared
  int descriptor = -1;       // of a file that holds the memory; the caller's to close
  std::uint64_t offset = 0;  // of the first byte in it
  MappedFile file;           // if there is no descriptor: the other one may have it mapped, too
};

// Private memory is moved into a memfd, which is mapped in its place: the contents stay, and so do the protections. What other
// threads write to it at that very moment may be lost. Shared memory is found as the file that it is.
SharedOutMemory share_out(std::uint64_t address, std::uint64_t length, bool writable);

}  // namespace swiommu::run
