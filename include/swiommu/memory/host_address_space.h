// The addresses at the root of the tree of translations: which is what, and which pointer.
//
// A host address becomes a pointer by one addition, base + address. A range of our own address space is reserved from `base`
// on, so what is mapped there has small host addresses, which formats with narrow outputs can hold. Memory that cannot be
// mapped there (private memory of a user, which cannot be mapped twice) lies outside and is reached by the same addition, which
// wraps for memory below `base`: such addresses are large, and a narrow format has to refuse them.
//
//   host address   0 ........ 4095   never handed out
//                  4096 ...          shared memory and device ranges, lowest first
//                  0xfee00000 ...    x86 interrupt range: never memory
//                  ... reserve.last
//                  beyond            pointer - base
#pragma once
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "swiommu/base/address.h"
#include "swiommu/base/interval_map.h"
#include "swiommu/base/mutex.h"
#include "swiommu/base/range.h"
#include "swiommu/base/result.h"
#include "swiommu/memory/device_range.h"
#include "swiommu/memory/known_runs.h"
#include "swiommu/memory/memory_view.h"
#include "swiommu/memory/moves.h"
#include "swiommu/memory/pin_ledger.h"
#include "swiommu/memory/pinned_places.h"
#include "swiommu/memory/range_counts.h"

namespace swiommu {

// A write here is an interrupt message, whatever is mapped (Intel SDM volume 3, "Message Signalled Interrupts").
inline constexpr Range x86_interrupt_range{0xfee00000, 0xfeefffff};

// Any thread may call anything. What is registered must be taken back before the object dies.
class HostAddressSpace final : public MemoryView {
 public:
  static constexpr std::uint64_t usual_reserve = std::uint64_t{32} << 40;
  static constexpr std::uint64_t smallest_reserve = std::uint64_t{1} << 30;

  // Reserves address space, no memory: `size` bytes, or half of that and so on where the system grants no more (RLIMIT_AS, a
  // small address space, a sanitizer), down to 1 GiB. ENOMEM: not even that.
  static Result<std::unique_ptr<HostAddressSpace>> create(std::uint64_t size = usual_reserve);
  ~HostAddressSpace() override;

  // The host addresses that are reserved; starts at 0.
  [[nodiscard]] Range reserve() const { return {0, size_ - 1}; }

  // The addition. Trusts the address: for one that is not registered memory the pointer must not be used.
  [[nodiscard]] std::byte* pointer(HostAddress address) const {
    return std::bit_cast<std::byte*>(std::bit_cast<std::uintptr_t>(base_) + address.value);
  }
  [[nodiscard]] HostAddress address_of(void const* pointer) const {
    return HostAddress(reinterpret_cast<std::uintptr_t>(pointer) - reinterpret_cast<std::uintptr_t>(base_));
  }

  // For an address that nobody vouches for: only what is registered as memory, and writable if the access writes. The memory
  // stays there only as long as whoever registered it says; callers hold a guard, or the backing.
  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override;

  // Maps `length` bytes of a file, shared, and registers them. `offset` is a multiple of the host's page; the address is
  // congruent to it modulo the largest power of two that `length` holds, but no more than 1 GiB, so that huge pages stay huge.
  // What of the last page is beyond `length` is not registered. The descriptor may be closed afterwards. `sure` says that only a
  // lack of memory can keep the file from being mapped; else that is tried elsewhere first, which costs more than the rest.
  // EINVAL: empty or misaligned; ENOSPC: the reserve is full; else the errno of mmap(2).
  Result<HostAddress> map_shared(int descriptor, std::uint64_t offset, std::uint64_t length, bool writable, bool sure = false);
  // Takes back exactly what map_shared() gave. Never fails.
  void unmap_shared(HostAddress address, std::uint64_t length, bool writable) noexcept;

  // Registers memory outside the reserve where it is. The same memory may be registered more than once. Whether it is really
  // there is not looked at (see UserMemory).
  // EINVAL: empty, wraps, meets the reserve or the x86 interrupt range; EEXIST: meets a device range; ENOMEM.
  Result<HostAddress> add_memory(void* data, std::uint64_t length, bool writable);
  // Takes back exactly one add_memory(). Never fails.
  void remove_memory(void* data, std::uint64_t length, bool writable) noexcept;

  // Takes a place in the reserve, congruent to `like` as map_shared() is to its offset. Nothing is there, and nothing is
  // registered; who has the place maps what it likes there. EINVAL: empty or misaligned; ENOSPC; ENOMEM.
  Result<Range> take_place(std::uint64_t like, std::uint64_t length);
  // Takes back exactly what take_place() gave, and unmaps what is there. Never fails.
  void give_back_place(Range place) noexcept;

  // Registers memory at host addresses that the caller knows to be its own. ENOMEM.
  Result<> add_range(Range range, bool writable);
  // Takes back exactly one add_range() or add_memory(). Never fails.
  void remove_range(Range range, bool writable) noexcept;

  // Registers a range that is not memory, at a fixed place, inside or outside the reserve. `device` must live until the range
  // is removed.
  // EEXIST: meets memory or another device range; EINVAL: meets addresses 0 to 4095, or cuts the x86 interrupt range.
  Result<> add_device_range(Range range, DeviceRange& device);
  // The same, at the lowest place in the reserve that is aligned to the length rounded up to a power of two, as BARs are, and
  // to at least 4 KiB. EINVAL: the length is 0; ENOSPC: no room.
  Result<Range> place_device_range(std::uint64_t length, DeviceRange& device);
  // `range` is exactly as it was added. When it returns, no call of the device is made any more on account of it: calls on their
  // way are waited for, those to other ranges of the device too. So not inside a guard, not from a call, and not while holding
  // what a call waits for. Never fails.
  void remove_device_range(Range range) noexcept;

  // Of everything that is pinned here.
  [[nodiscard]] PinLedger& pins() { return pins_; }

  // The device range that holds `address`, if any.
  [[nodiscard]] FoundDevice device_range(std::uint64_t address) const override;

  // For programs that do not keep what they have promised. Said before there are devices and domains.
  void expect_losses() { doubtful_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool doubtful() const override { return doubtful_.load(std::memory_order_relaxed); }

  [[nodiscard]] Moves* moves() const override { return &moves_; }
  [[nodiscard]] std::atomic<std::uint64_t> const* removals() const override { return &removals_; }
  [[nodiscard]] PinnedPlaces& pinned_places() { return pinned_places_; }

 private:
  struct Nothing {};

  HostAddressSpace(std::byte* base, std::uint64_t size) : base_(base), size_(size) {}

  // What locate() does without knowing the run.
  [[nodiscard, gnu::noinline]] Chunk look_up(std::uint64_t address, Access access) const;
  Result<> register_memory(Range range, bool writable) SWIOMMU_REQUIRES(mutex_);
  void forget_memory(Range range, bool writable) SWIOMMU_REQUIRES(mutex_);
  Result<> register_device(Range range, DeviceRange& device) SWIOMMU_REQUIRES(mutex_);

  std::byte* const base_;
  std::uint64_t const size_;
  PinLedger pins_;
  std::atomic<bool> doubtful_ = false;
  mutable Moves moves_;
  std::atomic<std::uint64_t> removals_ = 0;
  PinnedPlaces pinned_places_;
  mutable KnownRuns known_runs_;  // of readable_ and writable_
  mutable SharedMutex mutex_;
  // Every host address that must not be handed out: reserved, mapped, a device range.
  IntervalMap<Nothing> taken_ SWIOMMU_GUARDED_BY(mutex_);
  IntervalMap<DeviceRange*> devices_ SWIOMMU_GUARDED_BY(mutex_);
  RangeCounts readable_ SWIOMMU_GUARDED_BY(mutex_);
  RangeCounts writable_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu
