// What stands behind a descriptor: /dev/iommu itself, the read end of a fault queue, an access object of a test.
//
// Whoever keeps descriptors (run/) holds a shared pointer for each open file description; when the last one goes, the file is
// released, in its destructor. Threads: everything from any thread.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>

#include "swiommu/base/result.h"

namespace swiommu::iommufd {

class Caller;

// Memory that a program may map through a descriptor. As long as somebody keeps the pointer, the object that it belongs to is
// in use (DESTROY gives EBUSY).
class MappableMemory {
 public:
  virtual ~MappableMemory() = default;
  // A file to be mapped shared from `offset` on; belongs to this object.
  [[nodiscard]] virtual int descriptor() const = 0;
  [[nodiscard]] virtual std::uint64_t offset() const = 0;

  // Accesses to it do something. Calls of read_at() and write_at() at the same place of the file do it at once; what is read and
  // written in descriptor() is only found by who looks. Whoever can make all accesses calls says so, and may change his mind.
  [[nodiscard]] virtual bool acts() const { return false; }
  virtual void accessed_by_calls(bool all) { (void)all; }
};

class OpenFile {
 public:
  OpenFile() = default;
  OpenFile(OpenFile const&) = delete;
  OpenFile& operator=(OpenFile const&) = delete;
  virtual ~OpenFile() = default;

  // "[iommufd]", "[iommufd-pgfault]", ...: as the link in /proc/self/fd would show it.
  [[nodiscard]] virtual char const* name() const = 0;

  // ioctl(2): what it returns, or the errno and why. ENOTTY unless overridden.
  virtual Result<std::uint64_t> ioctl(Caller& caller, std::uint32_t request, std::uint64_t argument);
  // read(2) and write(2) at the caller's address. EINVAL unless overridden.
  virtual Result<std::uint64_t> read(Caller& caller, std::uint64_t to, std::uint64_t length);
  virtual Result<std::uint64_t> write(Caller& caller, std::uint64_t from, std::uint64_t length);
  // pread(2) and pwrite(2). Unless overridden: read() and write() for offset 0, else ESPIPE.
  virtual Result<std::uint64_t> read_at(Caller& caller, std::uint64_t to, std::uint64_t length, std::uint64_t offset);
  virtual Result<std::uint64_t> write_at(Caller& caller, std::uint64_t from, std::uint64_t length, std::uint64_t offset);
  // mmap(2): what is to be mapped instead. `length` in bytes, `protection` and `flags` as mmap's. ENODEV unless overridden.
  virtual Result<std::shared_ptr<MappableMemory>> map(std::uint64_t offset, std::uint64_t length, int protection, int flags);

  // poll(2): is there something to read? Writing never blocks.
  [[nodiscard]] virtual bool readable() const { return false; }
  // `changed(readable)` is called, perhaps with locks held, each time that readable() changes, until it is replaced. It must not
  // call back. One at a time.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): who overrides it keeps the function
  virtual void on_readable(std::function<void(bool readable)> changed) { (void)changed; }
};

}  // namespace swiommu::iommufd
