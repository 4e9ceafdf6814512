// Which descriptors of this process are ours. All zeros is an empty table, so that a forked child gets one by wiping.
#pragma once
#include <atomic>
#include <bit>
#include <cstdint>
#include <mutex>
#include <utility>

#include "run/futex_lock.h"
#include "run/holding.h"

namespace swiommu::run {

// Keeps a holding for the time of a call.
class Reference {
 public:
  Reference() = default;
  explicit Reference(Holding* counted) : holding_(counted) {}
  Reference(Reference&& other) noexcept : holding_(std::exchange(other.holding_, nullptr)) {}
  Reference& operator=(Reference&& other) noexcept {
    std::swap(holding_, other.holding_);
    return *this;
  }
  ~Reference();
  explicit operator bool() const { return holding_ != nullptr; }
  Holding* operator->() const { return holding_; }
  [[nodiscard]] Holding* get() const { return holding_; }

 private:
  Holding* holding_ = nullptr;
};

// Threads: any. No call allocates, and none waits for another call of ours.
class DescriptorTable {
 public:
  static constexpr unsigned limit = 1U << 20;  // Linux' fs.nr_open unless somebody raised it

  // Ours in some way: held, or internal. The one question that every wrapped call asks.
  [[nodiscard]] bool has(int descriptor) const {
    return static_cast<unsigned>(descriptor) < limit && entries_[descriptor].load(std::memory_order_acquire) != nullptr;
  }
  // A descriptor that we opened for ourselves: to the program it is not there.
  [[nodiscard]] bool internal(int descriptor) const {
    return static_cast<unsigned>(descriptor) < limit && entries_[descriptor].load(std::memory_order_acquire) == internal_mark();
  }
  [[nodiscard]] Reference find(int descriptor);
  // The descriptor is one of the holding's from now on. The reference that it had before, if any, is given back.
  Reference put(int descriptor, Holding& holding);
  Reference take(int descriptor);
  void put_internal(int descriptor);
  void take_internal(int descriptor);

  // Another holding of the same file. Empty if there is none.
  [[nodiscard]] Reference find_file(pid_t owner, std::uint64_t id);
  // Calls back with a descriptor of the file, if there is one; it stays one during the call, in which the table is locked.
  template <class Function>
  void with_descriptor(pid_t owner, std::uint64_t id, Function function) {
    std::lock_guard const lock(lock_);
    for (unsigned at = 0; at < end_; at++)
      if (is(entries_[at].load(std::memory_order_relaxed), owner, id)) {
        function(static_cast<int>(at));
        break;
      }
  }
  [[nodiscard]] unsigned end() const { return end_.load(std::memory_order_relaxed); }  // no descriptor of ours from here on

 private:
  friend class Reference;
  static Holding* internal_mark() { return std::bit_cast<Holding*>(std::uintptr_t{1}); }
  static bool is(Holding const* entry, pid_t owner, std::uint64_t id) {
    return entry != nullptr && entry != internal_mark() && entry->owner() == owner && entry->id() == id;
  }
  void set(int descriptor, Holding* entry);

  FutexLock lock_;
  std::atomic<unsigned> end_ = 0;
  std::atomic<Holding*> entries_[limit] = {};
};

}  // namespace swiommu::run
