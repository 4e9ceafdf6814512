#include "swiommu/memory/file_memory.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "swiommu/base/bits.h"

namespace swiommu {
namespace {

constexpr std::uint64_t longest = std::numeric_limits<off_t>::max();

// A description of the same file whose position is ours to move; -1 if the system gives none.
int reopened(int descriptor) { return ::open(fmt::format("/proc/self/fd/{}", descriptor).c_str(), O_RDONLY | O_CLOEXEC); }

// Whether it is open for all that can be done to it, with no seal against that.
bool is_free(int descriptor) {
  int const flags = ::fcntl(descriptor, F_GETFL), seals = ::fcntl(descriptor, F_GET_SEALS);
  return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && seals >= 0 && (seals & ~(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)) == 0;
}

}  // namespace

Result<std::unique_ptr<FileMemory>> FileMemory::create(HostAddressSpace& space, int descriptor, std::uint64_t offset,
                                                       std::uint64_t length, bool writable) {
  return guarded([&]() -> Result<std::unique_ptr<FileMemory>> {
    Descriptor own(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    struct statfs system{};
    if (own.get() < 0) return fail(errno, fmt::format("the descriptor {} of memory to map", descriptor));
    if (length > space.reserve().length()) return fail(ENOSPC, fmt::format("no room for {:#x} bytes of a file", length));
    bool const known = ::fstatfs(own.get(), &system) == 0;
    bool const huge = known && system.f_type == HUGETLBFS_MAGIC;
    auto const unit = huge ? static_cast<std::uint64_t>(system.f_bsize) : host_page_size;
    std::uint64_t const lead = offset & (unit - 1);
    if (offset > longest || length > longest - lead || lead + length > longest - (offset - lead))
      return fail(EOVERFLOW, fmt::format("{:#x} bytes from offset {:#x} of a file", length, offset));
    std::uint64_t const mapped = huge ? (lead + length + (unit - 1)) & ~(unit - 1) : lead + length;
    bool const in_memory = known && system.f_type == TMPFS_MAGIC;
    auto address = space.map_shared(own.get(), offset - lead, mapped, writable, in_memory && is_free(own.get()));
    bool const pinnable = address && (huge || in_memory);
    if (!address) {
      int const code = address.error().code;
      if (code != EACCES && code != ENODEV && code != EPERM && code != EINVAL && code != EOVERFLOW)
        return std::unexpected(std::move(address).error());
      // Stands for what can never be pinned: as large, and empty.
      Descriptor const nothing(::memfd_create("swiommu-nothing", MFD_CLOEXEC));
      if (nothing.get() < 0) return fail(errno, "cannot make a memfd");
      address = space.map_shared(nothing.get(), 0, lead + length, writable);
      if (!address) return std::unexpected(std::move(address).error());
    }
    Place const place{*address, pinnable || huge ? mapped : lead + length};
    std::unique_ptr<FileMemory> memory(new (std::nothrow) FileMemory(space, place, lead, length, writable));
    if (!memory) {
      space.unmap_shared(place.address, place.length, writable);
      return out_of_memory();
    }
    memory->descriptor_ = std::move(own);
    memory->offset_ = offset;
    memory->pinnable_ = pinnable;
    memory->tells_holes_ = pinnable && !huge;
    if (huge) memory->page_size_lg2_ = log2_floor(unit);
    return memory;
  });
}

FileMemory::~FileMemory() { space_.unmap_shared(mapped_.address, mapped_.length, writable()); }

Result<> FileMemory::fault_in(std::uint64_t first_page, std::uint64_t last_page) const {
  return guarded([&]() -> Result<> {
    struct stat status{};
    if (!pinnable_ || ::fstat(descriptor_.get(), &status) != 0) return fail(EINVAL, "a file of a kind that cannot be pinned");
    auto const size = static_cast<std::uint64_t>(status.st_size);
    // As Linux does it: whole pages must lie inside the file.
    if (align_down(offset_, host_page_lg2) + ((last_page + 1) << host_page_lg2) > size)
      return fail(EINVAL, fmt::format("{:#x} bytes from offset {:#x} of a file of {:#x} bytes", length(), offset_, size));
    // What a file in memory has is there, and stays, so only its holes are faulted in: else that would be most of the time that
    // mapping takes. A file as large as what it takes up has none.
    bool const complete = tells_holes_ && static_cast<std::uint64_t>(status.st_blocks) * 512 >= size;
    return complete ? Result<>() : fill_holes(first_page, last_page);
  });
}

Result<> FileMemory::fill_holes(std::uint64_t first_page, std::uint64_t last_page) const {
  Descriptor const own(tells_holes_ ? reopened(descriptor_.get()) : -1);
  if (own.get() < 0) return Backing::fault_in(first_page, last_page);
  std::uint64_t const base = align_down(offset_, host_page_lg2), end = base + ((last_page + 1) << host_page_lg2);
  for (std::uint64_t at = base + (first_page << host_page_lg2); at < end;) {
    off_t const hole = ::lseek(own.get(), static_cast<off_t>(at), SEEK_HOLE);
    if (hole < 0) return Backing::fault_in((at - base) >> host_page_lg2, last_page);
    if (static_cast<std::uint64_t>(hole) >= end) return {};
    off_t const data = ::lseek(own.get(), hole, SEEK_DATA);
    std::uint64_t const filled = data < 0 ? end : std::min(static_cast<std::uint64_t>(data), end);
    SWIOMMU_TRY(
        Backing::fault_in((static_cast<std::uint64_t>(hole) - base) >> host_page_lg2, ((filled - base) >> host_page_lg2) - 1));
    at = filled;
  }
  return {};
}

}  // namespace swiommu
