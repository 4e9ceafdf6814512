// What this process has mapped through our descriptors: as long as a page of it is mapped, the object behind it is in use.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "run/futex_lock.h"

namespace swiommu::run {

// Threads: any. Ranges are what the kernel was asked for: any start, lengths that are rounded up to pages.
class FileMappings {
 public:
  // Takes the place of what was there. Without memory to write it down, it is kept for ever.
  void add(std::uint64_t start, std::size_t length, std::shared_ptr<void const> kept);
  // Is unmapped now, or replaced by something else.
  void forget(std::uint64_t start, std::size_t length);
  // mremap(2) put it elsewhere.
  void move(std::uint64_t start, std::size_t length, std::uint64_t to, std::size_t new_length);

  // Is any of it mapped so?
  [[nodiscard]] bool overlaps(std::uint64_t start, std::uint64_t length) const;

  // For calls that come often, and hardly ever concern us.
  [[nodiscard]] bool any() const { return any_.load(std::memory_order_relaxed); }

 private:
  struct Mapping {
    std::uint64_t end;
    std::shared_ptr<void const> kept;
  };
  using Map = std::map<std::uint64_t, Mapping>;
  // Takes out what overlaps, leaving what is around it; into `gone`, to be freed without the lock.
  void cut(std::uint64_t start, std::uint64_t end, Map& gone);

  std::atomic<bool> any_ = false;
  mutable FutexLock lock_;
  Map mappings_;  // by start
};

// Of this process; a forked child begins with none.
FileMappings& file_mappings();
// Whether there are any, without making the object.
[[nodiscard]] bool any_file_mappings();

}  // namespace swiommu::run
