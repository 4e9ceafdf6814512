// Which page of memory is behind an address of a process: the same answer for every mapping of one page.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "swiommu/base/range.h"
#include "swiommu/base/result.h"

namespace swiommu {

struct PageIdentity {
  // Shared memory: the file, be it one that has no name; private memory: 0.
  std::uint64_t device = 0, inode = 0;
  // Private memory: whose it is. A page that a fork has left to two processes is one to each of them.
  std::int32_t process = 0;
  std::uint64_t page = 0;  // number in the file, or in the process

  bool operator==(PageIdentity const&) const = default;
};

// What /proc/PID/maps says at one time.
class MemoryMap {
 public:
  // ESRCH: no such process, or none that we may look at. ENOMEM.
  static Result<MemoryMap> of(std::int32_t process);

  // Nothing: nothing is mapped there.
  [[nodiscard]] std::optional<PageIdentity> page_at(std::uint64_t address) const;

 private:
  struct Entry {
    Range addresses;
    bool shared;
    std::uint64_t offset, device, inode;
  };
  MemoryMap(std::int32_t process, std::vector<Entry> entries) : process_(process), entries_(std::move(entries)) {}

  std::int32_t process_;
  std::vector<Entry> entries_;  // ascending
};

// Log2 of the size of the pages that the memory at an address of a process consists of, as the kernel keeps it: 4 KiB for
// transparent huge pages, which may be split at any time. Slow. 4 KiB also if nothing is mapped there.
unsigned page_size_lg2_at(std::int32_t process, std::uint64_t address);

}  // namespace swiommu
