// One open file description of ours, as a process holds it: any number of descriptors, and the calls under way on them.
#pragma once
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace swiommu::run {

// What an owner adds to a process' VmPin and VmLck.
struct PinCounts {
  std::uint64_t pinned_pages = 0;
  std::uint64_t locked_pages = 0;
};

// What the kernel would return: a value, or -errno. `descriptor` is one of the descriptors, open during the call.
class Holding {
 public:
  Holding() = default;
  Holding(Holding const&) = delete;
  Holding& operator=(Holding const&) = delete;
  virtual ~Holding() = default;

  virtual long ioctl(int descriptor, std::uint32_t request, std::uint64_t argument) = 0;
  // With an offset, pread(2) and pwrite(2).
  virtual long read(int descriptor, void* to, std::size_t length, std::optional<std::uint64_t> offset) = 0;
  virtual long write(int descriptor, void const* from, std::size_t length, std::optional<std::uint64_t> offset) = 0;
  virtual long map(int descriptor, void* at, std::size_t length, int protection, int flags, std::uint64_t offset) = 0;

  // The path that it was opened by, or something that is no path.
  [[nodiscard]] virtual char const* name() const { return ""; }

  // What the owner has pinned on behalf of a process. Zeros if it is gone.
  virtual PinCounts counts(int descriptor, pid_t pid) = 0;

  // The owner's process, and the number of the file there.
  [[nodiscard]] pid_t owner() const { return owner_; }
  [[nodiscard]] std::uint64_t id() const { return id_; }

 protected:
  Holding(pid_t owner, std::uint64_t id) : owner_(owner), id_(id) {}

 private:
  friend class DescriptorTable;
  friend class Reference;
  std::atomic<std::uint32_t> references_ = 0;  // descriptors, and calls under way
  pid_t owner_ = 0;
  std::uint64_t id_ = 0;
};

}  // namespace swiommu::run
