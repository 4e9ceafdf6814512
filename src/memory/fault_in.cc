#include "memory/fault_in.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

#include "memory/absent_pages.h"
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

// Each page, whether it is there or not: the kernel takes as long for one as for hundreds of words of ours.
int populate(std::byte* data, std::uint64_t length, bool writable) {
  int const advice = writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
  int code = 0;
  do {
    code = ::madvise(data, length, advice) == 0 ? 0 : errno;
  } while (code == EAGAIN || code == EINTR);
  if (code == 0) return code;
  // A hole, or no memory: on Linux, MS_ASYNC does nothing but look for holes.
  if (code == ENOMEM) return ::msync(data, length, MS_ASYNC) != 0 ? EFAULT : ENOMEM;
  if (code != EINVAL) return EFAULT;
  // EINVAL has two meanings: no right to access, and no such advice.
  alignas(host_page_size) std::byte known_good[host_page_size];
  if (::sysconf(_SC_PAGESIZE) == static_cast<long>(host_page_size) && ::madvise(known_good, sizeof known_good, advice) != 0 &&
      errno == EINVAL)
    return read_each_page(data, length);
  return EFAULT;
}

int populate(Range pages, bool writable) { return populate(std::bit_cast<std::byte*>(pages.start), pages.length(), writable); }

// What can be accessed is a question of the mapping, so it is asked for one page of each. -1: the system cannot tell what is
// there.
int populate_absent(AbsentPages const& absent, Range range, bool writable) {
  for (std::uint64_t at = range.start;;) {
    auto const mapping = absent.mapping(at, range);
    if (!mapping) return EFAULT;
    if (int const code = populate({at, at + (host_page_size - 1)}, writable); code != 0) return code;
    int const code = absent.for_each({at, mapping->last}, writable, [&](Range missing) { return populate(missing, writable); });
    if (code != 0) return code;
    if (mapping->last == range.last) return 0;
    at = mapping->last + 1;
  }
}

// Fewer pages are not worth opening files for.
constexpr std::uint64_t large = std::uint64_t{256} << host_page_lg2;

}  // namespace

int fault_in(std::byte* data, std::uint64_t length, bool writable) {
  if (length >= large) {
    auto const start = std::bit_cast<std::uint64_t>(data);
    if (auto const absent = AbsentPages::open())
      if (int const code = populate_absent(*absent, {start, start + (length - 1)}, writable); code >= 0) return code;
  }
  return populate(data, length, writable);
}

}  // namespace swiommu
