#include "memory/place.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <bit>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace swiommu {

Result<std::shared_ptr<Place>> Place::take(HostAddressSpace& space, Range from) {
  return guarded([&]() -> Result<std::shared_ptr<Place>> {
    auto const host = space.take_place(from.start, from.length());
    if (!host) return std::unexpected(host.error());
    Place* const made = new (std::nothrow) Place(space, from, *host);
    if (made == nullptr) {
      space.give_back_place(*host);
      return out_of_memory();
    }
    return std::shared_ptr<Place>(made);
  });
}

Place::~Place() {
  if (!lost_) space_.give_back_place(host_);
}

bool Place::move() noexcept {
  auto* const from = std::bit_cast<void*>(from_.start);
  void* const to = space_.pointer(HostAddress(host_.start));
  std::uint64_t const length = from_.length();
  if (::mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) != MAP_FAILED) return true;
  // It may have torn a hole into the reserve. Where somebody else could have mapped something by now, nothing is touched again.
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  lost_ = ::mmap(to, length, PROT_NONE, flags, -1, 0) != to;
  return false;
}

bool Place::copy() noexcept {
  std::uint64_t const length = from_.length();
  auto* const to = space_.pointer(HostAddress(host_.start));
  if (lost_ || ::mprotect(to, length, PROT_READ | PROT_WRITE) != 0) return false;
  // The kernel copies less than asked for where it meets a hole, and at most 2 GiB a call.
  for (std::uint64_t done = 0; done < length;) {
    iovec const local{to + done, length - done};
    iovec const remote{std::bit_cast<void*>(from_.start + done), length - done};
    ssize_t const got = ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0);
    if (got <= 0) return false;
    done += static_cast<std::uint64_t>(got);
  }
  return true;
}

}  // namespace swiommu
