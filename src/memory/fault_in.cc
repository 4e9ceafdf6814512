#include "memory/fault_in.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "swiommu/memory/mapping.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace swiommu {
namespace {

// For systems without MADV_POPULATE (before Linux 5.14): the kernel reads a byte of every page for us. Whether a page may be
// written to cannot be found out without writing to it, which would race with its owner.
int read_each_page(std::byte* data, std::uint64_t length) {
  std::array<std::byte, 64> bytes;
  std::array<iovec, bytes.size()> pages;
  iovec const local{bytes.data(), bytes.size()};
  for (std::uint64_t done = 0; done < length;) {
    std::size_t count = 0;
    for (; count < pages.size() && done < length; ++count, done += host_page_size) pages[count] = {data + done, 1};
    if (::process_vm_readv(::getpid(), &local, 1, pages.data(), count, 0) != static_cast<ssize_t>(count)) return EFAULT;
  }
  return 0;
}

}  // namespace

int fault_in(std::byte* data, std::uint64_t length, bool writable) {
  // Holes are found first: cheap, and it tells them from a lack of memory. On Linux, MS_ASYNC does nothing else.
  if (::msync(data, length, MS_ASYNC) != 0) return EFAULT;
  int const advice = writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  int code = 0;
  do {
    code = ::madvise(data, length, advice) == 0 ? 0 : errno;
  } while (code == EAGAIN || code == EINTR);
  if (code == 0 || code == ENOMEM) return code;
  if (code != EINVAL) return EFAULT;
  // EINVAL has two meanings: no right to access, and no such advice.
  alignas(host_page_size) std::byte known_good[host_page_size];
  if (::sysconf(_SC_PAGESIZE) == static_cast<long>(host_page_size) && ::madvise(known_good, sizeof known_good, advice) != 0 &&
      errno == EINVAL)
    return read_each_page(data, length);
  return EFAULT;
}

}  // namespace swiommu
