#include "swiommu/memory/safe_copy.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cstdint>

namespace swiommu {
namespace {

using Transfer = ssize_t(pid_t, iovec const*, unsigned long, iovec const*, unsigned long, unsigned long);

// The kernel copies at most 2 GiB a call, and less than asked for only when it meets a hole.
bool transfer(Transfer* call, std::byte* ours, std::byte* doubtful, std::size_t length) noexcept {
  constexpr std::size_t most = std::size_t{1} << 30;
  while (length > 0) {
    std::size_t const part = length < most ? length : most;
    iovec const local{ours, part}, remote{doubtful, part};
    if (call(::getpid(), &local, 1, &remote, 1, 0) != static_cast<ssize_t>(part)) return false;
    ours += part, doubtful += part, length -= part;
  }
  return true;
}

}  // namespace

bool copy_from_doubtful(void const* from, std::span<std::byte> to) noexcept {
  return transfer(&::process_vm_readv, to.data(), static_cast<std::byte*>(const_cast<void*>(from)), to.size());
}

bool copy_to_doubtful(void* to, std::span<std::byte const> from) noexcept {
  return transfer(&::process_vm_writev, const_cast<std::byte*>(from.data()), static_cast<std::byte*>(to), from.size());
}

}  // namespace swiommu
