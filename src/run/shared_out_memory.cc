#include "run/shared_out_memory.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "run/call_log.h"
#include "run/kernel_call.h"
#include "run/memory_map.h"
#include "swiommu/base/bits.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::run {
namespace {

SharedOutMemory refuse(char const* why, std::uint64_t address, std::uint64_t length) {
  log_line("{:#x} bytes of memory at {:#x} cannot be shared with the owner: {}", length, address, why);
  return {EFAULT};
}

bool is_same(int descriptor, MappedRange const& range) {
  struct stat status{};
  if (kernel_call(SYS_newfstatat, descriptor, "", &status, AT_EMPTY_PATH) != 0) return false;
  return status.st_ino == range.inode && std::uint64_t{major(status.st_dev)} == range.device >> 32 &&
         minor(status.st_dev) == (range.device & 0xffffffff);
}

// The file that is mapped shared there: as the kernel links it, by its name, or among our descriptors.
int open_mapped_file(MappedRange const& range, bool writable) {
  int const flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC;
  std::array<char, 80> link;
  *fmt::format_to_n(link.data(), link.size() - 1, "/proc/self/map_files/{:x}-{:x}", range.start, range.end).out = 0;
  if (long const opened = kernel_call(SYS_openat, AT_FDCWD, link.data(), flags); opened >= 0) return static_cast<int>(opened);
  std::array<char, 4096> path;
  if (range.name.starts_with('/') && range.name.size() < path.size()) {
    *std::copy(range.name.begin(), range.name.end(), path.begin()) = 0;
    long const opened = kernel_call(SYS_openat, AT_FDCWD, path.data(), flags);
    if (opened >= 0 && is_same(static_cast<int>(opened), range)) return static_cast<int>(opened);
    if (opened >= 0) kernel_call(SYS_close, opened);
  }
  for (int descriptor = 0; descriptor < 65536; descriptor++)
    if (is_same(descriptor, range)) {
      *fmt::format_to_n(link.data(), link.size() - 1, "/proc/self/fd/{}", descriptor).out = 0;
      if (long const opened = kernel_call(SYS_openat, AT_FDCWD, link.data(), flags); opened >= 0) return static_cast<int>(opened);
    }
  return -1;
}

// Moves [start, end), which is all private, into a memfd that is mapped in its place.
SharedOutMemory move_private(std::uint64_t start, std::uint64_t end) {
  auto const memfd = static_cast<int>(kernel_call(SYS_memfd_create, "swiommu-moved", MFD_CLOEXEC));
  if (memfd < 0) return {ENOMEM};
  bool good = kernel_call(SYS_ftruncate, memfd, end - start) == 0;
  for (std::uint64_t at = start; good && at < end;) {
    long const done = kernel_call(SYS_pwrite64, memfd, at, std::min<std::uint64_t>(end - at, 1 << 30), at - start);
    good = done > 0;
    at += good ? static_cast<std::uint64_t>(done) : 0;
  }
  MemoryMap map;
  while (auto const range = good ? map.next() : std::nullopt) {
    std::uint64_t const from = std::max(start, range->start), to = std::min(end, range->end);
    if (from >= to) continue;
    int const protection =
        (range->readable ? PROT_READ : 0) | (range->writable ? PROT_WRITE : 0) | (range->executable ? PROT_EXEC : 0);
    long const placed = kernel_call(SYS_mmap, from, to - from, protection, MAP_SHARED | MAP_FIXED, memfd, from - start);
    good = placed == static_cast<long>(from);
  }
  if (good) return {0, memfd, 0};
  kernel_call(SYS_close, memfd);
  return refuse("it cannot be moved into a memfd", start, end - start);
}

}  // namespace

SharedOutMemory share_out(std::uint64_t address, std::uint64_t length, bool writable) {
  if (length == 0 || address + (length - 1) < address) return {EFAULT};
  std::uint64_t const start = align_down(address, host_page_lg2);
  std::uint64_t const end = align_down(address + (length - 1), host_page_lg2) + host_page_size;
  if (end < start) return {EFAULT};
  MemoryMap map;
  std::uint64_t covered = start;
  while (auto const range = map.next()) {
    if (range->end <= covered) continue;
    if (range->start > covered) break;
    if (!range->readable || (writable && !range->writable)) return refuse("it is protected", address, length);
    if (range->shared) {
      if (range->start > start || range->end < end) return refuse("it is shared memory in several pieces", address, length);
      int const file = open_mapped_file(*range, writable);
      std::uint64_t const offset = range->offset + (address - range->start);
      return {0, file, offset, file < 0 ? MappedFile{range->device, range->inode} : MappedFile{}};
    }
    if (range->name == "[stack]") return refuse("it is part of a stack", address, length);
    covered = range->end;
    if (covered >= end) break;
  }
  if (covered < end) return refuse("part of it is not there", address, length);
  SharedOutMemory moved = move_private(start, end);
  moved.offset = address - start;
  return moved;
}

}  // namespace swiommu::run
