// What this process has mapped through our descriptors: as long as a page of it is mapped, the object behind it is in use.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "run/blocked_signals.h"
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
    bool opened = false;  // they acted until somebody opened them
  };
  struct Mapping {
    std::uint64_t end;
    Mapped mapped;
  };
  using Map = std::map<std::uint64_t, Mapping>;  // by start

  // Takes the place of what was there. Without memory to write it down, it is kept for ever; false.
  bool add(std::uint64_t start, std::size_t length, Mapped mapped);
  // Is unmapped now, or replaced by something else.
  void forget(std::uint64_t start, std::size_t length) { take(start, length); }
  // The same before the kernel does it, after which the place may be somebody else's at once; and back, if it does not.
  Map take(std::uint64_t start, std::size_t length);
  void put_back(Map taken);
  // A part of what is at an address, which stays there: for mremap(2) of length 0, which makes a second mapping.
  [[nodiscard]] Map copy(std::uint64_t address) const;
  // mremap(2) put elsewhere what was taken from `start`, or copied.
  void move(Map taken, std::uint64_t start, std::uint64_t to, std::size_t new_length);

  // mprotect(2) gave the program other rights, or those of a part, if it failed: it has them where nothing acts.
  void protect(std::uint64_t start, std::size_t length, int protection, bool failed);
  // Registers that act, if all of these bytes are in one mapping of them; `offset` is that of the address.
  [[nodiscard]] std::optional<Mapped> acting_at(std::uint64_t address, std::uint64_t length = 1) const;
  // From now on the program has the rights that it knows of, everywhere in the mapping that the address is in.
  void open(std::uint64_t address);
  // Those rights, where it was opened; 0: it was not.
  [[nodiscard]] int opened_rights(std::uint64_t address) const;

  // Is any of it mapped so?
  [[nodiscard]] bool overlaps(std::uint64_t start, std::uint64_t length) const;

  // For calls that come often, and hardly ever concern us.
  [[nodiscard]] bool any() const { return any_.load(std::memory_order_relaxed); }

 private:
  // No handler of a signal runs meanwhile, which could access registers.
  class Lock {
   public:
    explicit Lock(FutexLock& lock) : guard_(lock) {}

   private:
    BlockedSignals const signals_;
    std::lock_guard<FutexLock> const guard_;
  };
  // The first that ends behind `start`.
  [[nodiscard]] Map::iterator first_behind(std::uint64_t start);
  // That an address is in; the end if it is in none.
  [[nodiscard]] Map::const_iterator holding(std::uint64_t address) const;
  // From an address in it on.
  [[nodiscard]] static Mapping part_of(Map::const_iterator at, std::uint64_t address);
  // Makes it begin and end at borders.
  void split(std::uint64_t start, std::uint64_t end);
  // Takes out what overlaps, leaving what is around it; into `gone`, to be freed without the lock.
  void cut(std::uint64_t start, std::uint64_t end, Map& gone);

  std::atomic<bool> any_ = false;
  mutable FutexLock lock_;
  Map mappings_;
};

// Of this process; a forked child begins with none.
FileMappings& file_mappings();
// Whether there are any, without making the object.
[[nodiscard]] bool any_file_mappings();

}  // namespace swiommu::run
