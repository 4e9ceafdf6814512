// What this process has mapped through our descriptors: as long as a page of it is mapped, the object behind it is in use.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "run/futex_lock.h"

namespace swiommu::run {

class ActingRegisters;

// Threads: any. Ranges are what the kernel was asked for: any start, lengths that are rounded up to pages.
class FileMappings {
 public:
  struct Mapped {
    std::shared_ptr<void const> kept;
    // Part of it, if the program has no rights there, and each access is to be made by a call, as far as `protection` goes, which
    // is what the program knows of. `offset`: of the first byte in the file.
    ActingRegisters* acting = nullptr;
    int protection = 0;
    std::uint64_t offset = 0;
  };

  // Takes the place of what was there. Without memory to write it down, it is kept for ever; false.
  bool add(std::uint64_t start, std::size_t length, Mapped mapped);
  // Is unmapped now, or replaced by something else.
  void forget(std::uint64_t start, std::size_t length);
  // mremap(2) put it elsewhere.
  void move(std::uint64_t start, std::size_t length, std::uint64_t to, std::size_t new_length);

  // mprotect(2) gave the program other rights: it gets them where nothing acts.
  void protect(std::uint64_t start, std::size_t length, int protection);
  // Registers that act; `offset` is that of the address.
  [[nodiscard]] std::optional<Mapped> acting_at(std::uint64_t address) const;
  // From now on the program has the rights that it knows of, everywhere in the mapping that the address is in.
  void open(std::uint64_t address);

  // Is any of it mapped so?
  [[nodiscard]] bool overlaps(std::uint64_t start, std::uint64_t length) const;

  // For calls that come often, and hardly ever concern us.
  [[nodiscard]] bool any() const { return any_.load(std::memory_order_relaxed); }

 private:
  struct Mapping {
    std::uint64_t end;
    Mapped mapped;
  };
  using Map = std::map<std::uint64_t, Mapping>;
  // The first that ends behind `start`.
  [[nodiscard]] Map::iterator first_behind(std::uint64_t start);
  // Makes it begin and end at borders.
  void split(std::uint64_t start, std::uint64_t end);
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
