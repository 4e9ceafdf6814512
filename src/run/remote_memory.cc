#include "run/remote_memory.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "run/kernel_call.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/memory/file_memory.h"

namespace swiommu::run {
namespace {

// memfds, shared anonymous memory and huge pages may be anywhere; of other files only whole pages can be mapped.
bool in_memory(int file) {
  struct statfs system{};
  return kernel_call(SYS_fstatfs, file, &system) == 0 &&
         (system.f_type == TMPFS_MAGIC || system.f_type == static_cast<decltype(system.f_type)>(HUGETLBFS_MAGIC));
}

template <class T>
Result<std::unique_ptr<Backing>> as_backing(Result<std::unique_ptr<T>> made) {
  if (!made) return std::unexpected(std::move(made).error());
  return std::move(*made);
}

}  // namespace

Result<std::unique_ptr<Backing>> RemoteMemory::create(HostAddressSpace& space, std::shared_ptr<Peer const> process, int file,
                                                      Place place, bool writable) {
  return guarded([&]() -> Result<std::unique_ptr<Backing>> {
    bool shared = file >= 0 ? in_memory(file) : place.file.inode != 0;
    Result<std::unique_ptr<Backing>> mapped = nullptr;
    if (shared && file >= 0) mapped = as_backing(FileMemory::create(space, file, place.offset, place.length, writable));
    if (shared && file < 0) {
      mapped = TwinMemory::create(space, place.file, place.offset, place.length, writable);
      shared = mapped || mapped.error().code != ENOENT;
    }
    if (!shared) {
      // Stands for what can never be pinned.
      long const nothing = kernel_call(SYS_memfd_create, "swiommu-nothing", 1U);
      if (nothing < 0) return fail(static_cast<int>(-nothing), "cannot make a memfd");
      Descriptor const owned(static_cast<int>(nothing));
      mapped = as_backing(FileMemory::create(space, owned.get(), place.page_offset, place.length, writable));
    }
    if (!mapped) return mapped;
    return std::unique_ptr<Backing>(new RemoteMemory(space, std::move(*mapped), std::move(process), shared));
  });
}

Result<> RemoteMemory::fault_in(std::uint64_t first_page, std::uint64_t last_page) const {
  if (!shared_) return fail(EFAULT, "memory of another process that is not there, or cannot be shared");
  if (process_->gone()) return fail(EFAULT, "the process whose memory was mapped is gone");
  auto result = file_->fault_in(first_page, last_page);
  if (!result && result.error().code == EINVAL) result.error().code = EFAULT;
  return result;
}

}  // namespace swiommu::run
