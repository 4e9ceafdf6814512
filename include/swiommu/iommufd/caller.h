// Who makes a system call: the program's own process, or another one that reaches us through a socket. Everything that a kernel
// would know about its caller, behind one interface.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "swiommu/base/descriptor.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/open_file.h"
#include "swiommu/iommufd/process.h"
#include "swiommu/memory/backing.h"

namespace swiommu::iommufd {

enum class Capability : std::uint8_t { ipc_lock, sys_resource, sys_rawio };

// Lives for one call. Used by the thread that makes the call.
class Caller {
 public:
  Caller() = default;
  Caller(Caller const&) = delete;
  Caller& operator=(Caller const&) = delete;
  virtual ~Caller() = default;

  // Copies from, or to, an address of the caller. False (EFAULT): not all of it could be copied; part of it may have been.
  // Never crashes, whatever the address.
  virtual bool copy_in(std::uint64_t from, std::span<std::byte> to) = 0;
  virtual bool copy_out(std::uint64_t to, std::span<std::byte const> from) = 0;

  // A new descriptor of the caller for the file, close-on-exec. EMFILE; ENFILE; ENOMEM.
  virtual Result<int> install(std::shared_ptr<OpenFile> file) = 0;
  // Takes back what install() gave during this call, which then fails. Never fails.
  virtual void uninstall(int descriptor) noexcept = 0;

  // What of ours is behind a descriptor of the caller; nullptr if it is something else, or nothing.
  virtual std::shared_ptr<OpenFile> open_file(int descriptor) = 0;
  // A descriptor of our own process for the file that is behind one of the caller's. EBADF.
  virtual Result<Descriptor> borrow(int descriptor) = 0;

  // Memory of the caller, to be pinned later: looks at nothing now (what is wrong with it shows as EFAULT then). `address` need
  // not be page aligned. Stays usable when the caller unmaps it, or dies, once it is pinned. ENOMEM.
  virtual Result<std::unique_ptr<Backing>> memory(std::uint64_t address, std::uint64_t length, bool writable) = 0;
  // Has the caller mapped any of this through one of our files, so that it is no memory to be pinned?
  virtual bool is_device_memory(std::uint64_t address, std::uint64_t length) {
    (void)address, (void)length;
    return false;
  }
  // The same as memory() for shared memory from byte `offset` of a file. EINVAL: the file is shorter, as pinning finds out.
  virtual Result<std::unique_ptr<Backing>> file_memory(int descriptor, std::uint64_t offset, std::uint64_t length,
                                                       bool writable) = 0;

  [[nodiscard]] virtual std::shared_ptr<Process> process() = 0;
  // Brings the limits of process() up to date; for a caller whose limits cannot change, nothing.
  virtual void read_limits() {}
  [[nodiscard]] virtual bool has(Capability capability) = 0;
};

}  // namespace swiommu::iommufd
