// Software that uses what an I/O address space maps: an emulated device, a queue that hardware reads on its own.
//
// Memory is reached in two ways. read() and write() copy, and hold nothing afterwards. pin() hands out the memory itself, which
// stays pinned until unpin(), also when the last domain goes; so whoever unmaps must get it back first:
//
//   Use::copies   does not pin
//   Use::pins     is called back when an area is to be unmapped, or the address space is left, and unpins what lies in it
//   Use::locks    is not called back: areas that it has pinned cannot be unmapped (EBUSY)
//
// While one that pins is attached, everything in the address space is aligned to the host's pages (4 KiB).
//
// Threads: any; a call back comes from whoever unmaps, with no lock held, and may unpin. Not inside a guard. Lock order: this,
// then the address space.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/domain/io_address_space.h"

namespace swiommu {

class SoftwareAccess : public std::enable_shared_from_this<SoftwareAccess> {
 public:
  enum class Use : std::uint8_t { copies, pins, locks };
  // What is pinned in these iovas must be unpinned before it returns. Must not attach, replace or detach.
  using Unmapping = std::function<void(Range iovas)>;

  // Attached to nothing. ENOMEM.
  static Result<std::shared_ptr<SoftwareAccess>> create(Use use, Unmapping unmapping = {});
  // Detaches.
  ~SoftwareAccess();
  SoftwareAccess(SoftwareAccess const&) = delete;
  SoftwareAccess& operator=(SoftwareAccess const&) = delete;

  // EINVAL: attached already; EADDRINUSE: it pins, and an area is not aligned to the host's pages; EBUSY: another call changes
  // this at the moment; ENOMEM; EDEADLK.
  Result<void> attach(std::shared_ptr<IoAddressSpace> space);
  // To another address space; the same one does nothing. ENOENT: attached to none; else as attach(): then it stays where it was.
  Result<void> replace(std::shared_ptr<IoAddressSpace> space);
  // What is pinned still after the call back is unpinned. ENOENT: attached to none; EBUSY; EDEADLK.
  Result<void> detach();
  [[nodiscard]] std::shared_ptr<IoAddressSpace> space() const;

  // Pins the memory behind [iova, iova + length), in a row of slices: one an area. The same range may be pinned more than once.
  // EINVAL: does not pin; no length; an area is being unmapped, or its memory does not begin, or end where another follows,
  // with a host page; or is no memory. EOVERFLOW. ENOENT: attached to none, or not all of the range is mapped. EPERM: no right
  // to write, or to read if that is what is asked. The errors of Pages::pin. EDEADLK. An error pins nothing.
  Result<std::vector<PagesSlice>> pin(std::uint64_t iova, std::uint64_t length, bool write);
  // Takes back one pin() of exactly this range; does nothing if there is none.
  void unpin(std::uint64_t iova, std::uint64_t length) noexcept;

  // Copies. What was copied before an error stays copied. EINVAL, EOVERFLOW, ENOENT and EPERM as above, but nothing need be
  // aligned. EFAULT: the memory is not there.
  Result<void> read(std::uint64_t iova, std::span<std::byte> to);
  Result<void> write(std::uint64_t iova, std::span<std::byte const> from);

  [[nodiscard]] Use use() const { return use_; }

 private:
  friend class IoAddressSpace;
  SoftwareAccess(Use use, Unmapping unmapping) : use_(use), unmapping_(std::move(unmapping)) {}

  Result<void> change(std::shared_ptr<IoAddressSpace> to);
  Result<std::shared_ptr<IoAddressSpace>> usable() const;

  Use const use_;
  Unmapping const unmapping_;
  mutable Mutex mutex_;
  std::shared_ptr<IoAddressSpace> space_ SWIOMMU_GUARDED_BY(mutex_);   // nothing while it changes: no new pins
  std::shared_ptr<IoAddressSpace> pinned_ SWIOMMU_GUARDED_BY(mutex_);  // where pins are
  std::uint64_t number_ SWIOMMU_GUARDED_BY(mutex_) = 0;                // of this, there
  std::vector<Range> pins_ SWIOMMU_GUARDED_BY(mutex_);                 // in no order
};

}  // namespace swiommu
