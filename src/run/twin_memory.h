// Shared memory that another process named, and that this process has mapped as well: found here, and mapped once more.
#pragma once
#include <memory>

#include "swiommu/memory/backing.h"

namespace swiommu::run {

// A file as /proc/PID/maps names it, also one that has no other name: memory shared with children.
struct MappedFile {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  // 0: none
};

class TwinMemory final : public Backing {
 public:
  // `length` bytes from `offset` of the file. Independent of what the program does to its own mapping.
  // ENOENT: not mapped here in one piece with these rights; ENOMEM; the errors of HostAddressSpace::add_memory.
  static Result<std::unique_ptr<Backing>> create(HostAddressSpace& space, MappedFile const& file, std::uint64_t offset,
                                                 std::uint64_t length, bool writable);
  ~TwinMemory() override;

 private:
  using Backing::Backing;
};

}  // namespace swiommu::run
