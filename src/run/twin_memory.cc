#include "run/twin_memory.h"

#include <sys/mman.h>

#include "run/kernel_call.h"
#include "run/memory_map.h"
#include "swiommu/base/bits.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::run {
namespace {

std::uint64_t whole_pages(std::uint64_t length) { return align_down(length + (host_page_size - 1), host_page_lg2); }

// Where the page with the file's byte `offset` is mapped; 0: nowhere.
std::uint64_t find_page(MappedFile const& file, std::uint64_t offset, std::uint64_t length, bool writable) {
  std::uint64_t const page = align_down(offset, host_page_lg2);
  MemoryMap map;
  while (auto const range = map.next()) {
    if (!range->shared || range->inode != file.inode || range->device != file.device) continue;
    if (!range->readable || (writable && !range->writable) || range->offset > page) continue;
    std::uint64_t const before = page - range->offset;
    if (before < range->end - range->start && length <= range->end - range->start - before) return range->start + before;
  }
  return 0;
}

}  // namespace

Result<std::unique_ptr<Backing>> TwinMemory::create(HostAddressSpace& space, MappedFile const& file, std::uint64_t offset,
                                                    std::uint64_t length, bool writable) {
  return guarded([&]() -> Result<std::unique_ptr<Backing>> {
    std::uint64_t const lead = offset & (host_page_size - 1);
    if (file.inode == 0 || length == 0 || lead + length < length || whole_pages(lead + length) == 0)
      return fail(ENOENT, "no shared memory");
    std::uint64_t const size = whole_pages(lead + length), found = find_page(file, offset, size, writable);
    if (found == 0) return fail(ENOENT, "shared memory that is not mapped here");
    // With an old length of 0 a shared mapping gets a second one.
    long const twin = kernel_call(SYS_mremap, found, 0, size, MREMAP_MAYMOVE, 0);
    if (twin < 0) return fail(static_cast<int>(-twin), "cannot map shared memory a second time");
    auto const address = space.add_memory(std::bit_cast<std::byte*>(twin) + lead, length, writable);
    auto* const made =
        address ? new (std::nothrow) TwinMemory(space, *address, length, writable) : static_cast<TwinMemory*>(nullptr);
    if (made != nullptr) return std::unique_ptr<Backing>(made);
    if (address) space.remove_memory(std::bit_cast<std::byte*>(twin) + lead, length, writable);
    kernel_call(SYS_munmap, twin, size);
    return address ? out_of_memory() : std::unexpected(address.error());
  });
}

TwinMemory::~TwinMemory() {
  std::byte* const data = space_.pointer(host_address(0));
  space_.remove_memory(data, length(), writable());
  kernel_call(SYS_munmap, data - page_offset(), whole_pages(page_offset() + length()));
}

}  // namespace swiommu::run
