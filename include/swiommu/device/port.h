// A DMA port: where one thread of a device does its DMA.
//
//   auto port = *device->open_port();
//   DmaResult result = port->write(iova, data, length);
//   if (!result.ok()) report(describe(*result.fault));
//
// or, to work on the memory in place:
//
//   Port::Guard guard(*port);
//   auto chunk = port->translate(guard, iova, Access::reading());   // usable until the guard is left
//
// After unmap, detach, replace or an invalidation has returned, no DMA of any port uses the old translation or touches the
// memory behind it: those calls wait for the guards that were held. So a guard covers no blocking call, and a thread inside
// a guard gets EDEADLK from them.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>

#include "swiommu/base/address.h"
#include "swiommu/device/device.h"
#include "swiommu/device/fault_record.h"
#include "swiommu/device/last_translation.h"

namespace swiommu {

class Lookaside;

// How far a transfer got.
struct DmaResult {
  std::uint64_t done = 0;            // bytes transferred, from the start
  std::optional<FaultRecord> fault;  // why not more
  // The page is asked for, in this group of page requests: the rest may be tried again once it is answered.
  std::optional<std::uint32_t> pending;

  [[nodiscard]] bool ok() const { return !fault; }
};

// What an atomic operation found.
template <class T>
struct AtomicResult {
  T before{};                            // value in memory before the operation
  std::optional<FaultRecord> fault;      // nothing was done
  std::optional<std::uint32_t> pending;  // as DmaResult's

  [[nodiscard]] bool ok() const { return !fault; }
};

// A part of a scatter list.
struct Segment {
  Iova iova;
  std::uint64_t length = 0;  // in bytes
};

// What DMA does about a page of the domain it goes through that is not there, or does not allow the access.
enum class OnMissingPage : std::uint8_t {
  fault,  // it ends
  ask,    // it ends too, but the page is asked for (PCIe PRI) and the result is pending
  wait,  // the page is asked for, and the thread waits for the answer, outside of any guard: the DMA is translated again, or ends
};

// Threads: a port is used by one thread at a time. Any number of ports per device.
class Port {
 public:
  // Not inside a guard, of whatever port.
  ~Port();
  Port(Port const&) = delete;
  Port& operator=(Port const&) = delete;

  // The time in which translations of this port may be used. Keep it short: others wait for it. Not recursive.
  class Guard {
   public:
    explicit Guard(Port& port) : epoch_(port.epoch_), entered_(epoch_.enter()) {}
    ~Guard() { epoch_.leave(entered_); }
    Guard(Guard const&) = delete;
    Guard& operator=(Guard const&) = delete;

   private:
    Epoch& epoch_;
    std::uint64_t const entered_;
  };

  // The bytes behind an iova, as far as they lie in a row: at least one. Usable until the guard is left. For writing, the dirty
  // flags are set already. The guard must be of this port.
  [[nodiscard]] std::expected<Chunk, FaultRecord> translate(Guard const&, Iova iova, Access access,
                                                            std::optional<Pasid> pasid = std::nullopt) {
    return find(iova, access, pasid, nullptr);
  }

  // For who met a fault in translate() and has left the guard: waits while memory is being moved (memory/moves.h). True: some has
  // been, so translate again. read, write and the atomic operations do this by themselves.
  [[nodiscard]] bool memory_has_moved();

  // For all DMA of this port from now on; a fault to begin with. Asking takes somebody to ask (Device::set_page_requests).
  void on_missing_page(OnMissingPage what) { on_missing_page_ = what; }
  // Asks for the page of a fault that translate() met, once the guard is left. True: it is there, or so the answer says, so
  // translate again. `pending` as DmaResult's.
  [[nodiscard]] bool ask_for_page(FaultRecord const& fault, std::optional<std::uint32_t>& pending);

  // Copies out of, or into, memory. Translated entry by entry; long transfers take several guards, so an unmap in the middle of
  // one is waited for not longer than one piece takes. Not to be called inside a guard of this port. Where the translation
  // leads to a device range (memory/device_range.h) its callback is called, outside of the guard, so that it may still run when
  // an unmap has returned; translate and the atomic operations below know memory only.
  DmaResult read(Iova iova, void* to, std::uint64_t length, std::optional<Pasid> pasid = std::nullopt);
  DmaResult write(Iova iova, void const* from, std::uint64_t length, std::optional<Pasid> pasid = std::nullopt);
  // The same for a scatter list, whose parts lie in a row at `to` or `from`: what is not in the processor's caches is waited for
  // together. `done` counts over the whole list, which ends where the first part does not get through.
  DmaResult read(std::span<Segment const> list, void* to, std::optional<Pasid> pasid = std::nullopt);
  DmaResult write(std::span<Segment const> list, void const* from, std::optional<Pasid> pasid = std::nullopt);

  // Copies from one iova to another, and counts as a read and a write. Which side a fault is of is told by its access. Where the
  // two overlap, bytes of the source may be read after they were written. What lies in device ranges is read and written in
  // pieces of at most 4 KiB, each of which counts too.
  DmaResult copy(Iova from, Iova to, std::uint64_t length, std::optional<Pasid> pasid = std::nullopt);

  // PCIe AtomicOps on naturally aligned operands in little-endian memory: EINVAL if not aligned. T: std::uint32_t, std::uint64_t.
  template <class T>
  Result<AtomicResult<T>> fetch_add(Iova iova, T addend, std::optional<Pasid> pasid = std::nullopt);
  template <class T>
  Result<AtomicResult<T>> swap(Iova iova, T value, std::optional<Pasid> pasid = std::nullopt);
  template <class T>
  Result<AtomicResult<T>> compare_swap(Iova iova, T expected, T value, std::optional<Pasid> pasid = std::nullopt);

  // Walks that were needed because nothing cached served; for tests and statistics.
  [[nodiscard]] std::uint64_t walks() const { return walks_.load(std::memory_order_relaxed); }
  // Any thread.
  [[nodiscard]] DmaCounts counts() const {
    return {transfers_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed), walks(),
            nested_walks_.load(std::memory_order_relaxed)};
  }

 private:
  friend class Device;
  Port(std::shared_ptr<Device> device, Host const& host, std::unique_ptr<Lookaside> kept);

  // Where a walk that found no memory led, if that was a device range.
  struct DeviceTarget {
    FoundDevice found;
    std::uint64_t offset = 0;  // in the range
    std::uint64_t length = 0;  // bytes in a row
  };

  std::expected<Chunk, FaultRecord> find(Iova iova, Access access, std::optional<Pasid> pasid, DeviceTarget* target) {
    std::uint64_t const rights = LastTranslation::rights_of(access), key = pasid ? *pasid : no_pasid;
    if (last_.holds(key)) [[likely]] {
      if (last_.serves(iova.value, rights)) [[likely]]
        return last_.chunk(iova.value);
      if (Chunk const chunk = find_kept(iova.value, rights)) [[likely]]
        return chunk;
    } else if (Chunk const chunk = find_remembered(iova.value, rights, key)) {
      return chunk;
    }
    return walk(iova.value, access, pasid, target);
  }
  Chunk find_kept(std::uint64_t iova, std::uint64_t rights) noexcept;
  // The same where `last_` is not of the key.
  Chunk find_remembered(std::uint64_t iova, std::uint64_t rights, std::uint64_t key) noexcept;
  // What serves DMA with a PASID, or without one.
  struct Serving {
    Attachment const* attachment = nullptr;  // nothing does
    std::optional<Pasid> directed;           // the PASID, if it is left to the attachment's domain to find a table for it
  };
  // Inside a guard, and to be used there.
  [[nodiscard]] Serving serving(std::optional<Pasid> pasid) const;
  std::expected<Chunk, FaultRecord> walk(std::uint64_t iova, Access access, std::optional<Pasid> pasid, DeviceTarget* target);
  [[nodiscard]] bool misses(std::uint64_t iova, Access access, std::optional<Pasid> pasid);
  bool ask_for_pages(FaultRecord const& fault, std::uint64_t last, std::optional<std::uint32_t>& pending);
  FaultRecord beyond_the_top(Access access, std::optional<Pasid> pasid) const;
  FaultRecord lost(Iova iova, Access access, std::optional<Pasid> pasid) const;
  // What a transfer may do with memory and with a device range, both from `done` bytes on.
  struct Transfer;
  template <class Part>
  DmaResult for_each(std::span<Segment const> list, Part part);
  DmaResult transfer(Iova iova, std::uint64_t length, Access access, std::optional<Pasid> pasid, Transfer const& way);
  DmaResult transfer_some(Iova iova, std::uint64_t length, Access access, std::optional<Pasid> pasid, Transfer const& way);
  struct Copied;
  Copied copy_directly(Iova from, Iova to, std::uint64_t length, std::optional<Pasid> pasid);
  DmaResult copy_through_buffer(Iova from, Iova to, std::uint64_t length, std::optional<Pasid> pasid);
  template <class T, class Operation>
  Result<AtomicResult<T>> atomic(Iova iova, std::optional<Pasid> pasid, Operation operation);

  std::shared_ptr<Device> const device_;
  Host const host_;
  Epoch epoch_;
  std::unique_ptr<Lookaside> const kept_;
  LastTranslation& last_;  // of kept_
  // Written by the port's thread alone, so that adding takes no locked instruction.
  using Counter = std::atomic<std::uint64_t>;
  static void add(Counter& counter, std::uint64_t more) {
    counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  Counter walks_ = 0, nested_walks_ = 0, transfers_ = 0, bytes_ = 0;
  bool const doubtful_;  // memory may vanish
  std::uint64_t moves_seen_;
  OnMissingPage on_missing_page_ = OnMissingPage::fault;
  bool open_ = false;
};

}  // namespace swiommu
