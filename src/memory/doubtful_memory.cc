#include "swiommu/memory/doubtful_memory.h"

#include <sys/uio.h>
#include <unistd.h>

#include <bit>
#include <cerrno>

#include "memory/fault_in.h"
#include "swiommu/memory/mapping.h"

namespace swiommu {
namespace {

using Transfer = ssize_t(pid_t, iovec const*, unsigned long, iovec const*, unsigned long, unsigned long);

// A call copies less than asked for where it meets a hole, and at most 2 GiB.
std::size_t transfer(Transfer* call, std::byte* ours, std::byte* doubtful, std::size_t length) noexcept {
  int const before = errno;
  std::size_t done = 0;
  while (done < length) {
    iovec const local{ours + done, length - done}, remote{doubtful + done, length - done};
    ssize_t const got = call(::getpid(), &local, 1, &remote, 1, 0);
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  errno = before;
  return done;
}

}  // namespace

std::size_t read_doubtful(void* to, void const* from, std::size_t length) noexcept {
  return transfer(&::process_vm_readv, static_cast<std::byte*>(to), static_cast<std::byte*>(const_cast<void*>(from)), length);
}

std::size_t write_doubtful(void* to, void const* from, std::size_t length) noexcept {
  return transfer(&::process_vm_writev, static_cast<std::byte*>(const_cast<void*>(from)), static_cast<std::byte*>(to), length);
}

bool can_be_written(void* data) noexcept {
  int const before = errno;
  auto const page = reinterpret_cast<std::uintptr_t>(data) & ~(host_page_size - 1);
  bool const yes = fault_in(std::bit_cast<std::byte*>(page), host_page_size, true) == 0;
  errno = before;
  return yes;
}

}  // namespace swiommu
