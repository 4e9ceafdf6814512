#include "swiommu/memory/backing.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/fault_in.h"
#include "memory/movable_pages.h"

namespace swiommu {

Result<> Backing::fault_in(std::uint64_t first_page, std::uint64_t last_page) const {
  return guarded([&]() -> Result<> {
    if (last_page < first_page || last_page >= pages())
      return fail(ERANGE, fmt::format("pages {:#x} to {:#x} of memory with {:#x} pages", first_page, last_page, pages()));
    std::byte* const data = space_.pointer(address_) - page_offset() + (first_page << host_page_lg2);
    int const code = swiommu::fault_in(data, (last_page - first_page + 1) << host_page_lg2, writable_);
    if (code == 0) return {};
    return fail(code, fmt::format("pages {:#x} to {:#x} of the memory at {} cannot be {}", first_page, last_page,
                                  static_cast<void*>(space_.pointer(address_)), writable_ ? "written to" : "read"));
  });
}

UserMemory::UserMemory(HostAddressSpace& space, HostAddress address, std::uint64_t length, bool writable)
    : Backing(space, address, length, writable), pages_(std::make_unique<MovablePages>(space, address, length, writable)) {}

Result<std::unique_ptr<UserMemory>> UserMemory::create(HostAddressSpace& space, void* data, std::uint64_t length, bool writable) {
  auto const address = space.add_memory(data, length, writable);
  if (!address) return std::unexpected(address.error());
  auto memory = guarded([&]() -> Result<std::unique_ptr<UserMemory>> {
    return std::unique_ptr<UserMemory>(new UserMemory(space, *address, length, writable));
  });
  if (!memory) space.remove_memory(data, length, writable);
  return memory;
}

UserMemory::~UserMemory() = default;

Row UserMemory::row(std::uint64_t offset) const { return pages_->row(offset); }

Result<> UserMemory::fault_in(std::uint64_t first_page, std::uint64_t last_page) const {
  if (last_page >= first_page && last_page < pages()) SWIOMMU_TRY(pages_->bring_home({first_page, last_page}));
  return Backing::fault_in(first_page, last_page);
}

void UserMemory::released(std::uint64_t first_page, std::uint64_t last_page) const noexcept {
  pages_->forget({first_page, last_page});
}

Result<> UserMemory::hold() const { return pages_->hold(); }
void UserMemory::let_go() const noexcept { pages_->let_go(); }

Result<std::unique_ptr<SharedMemory>> SharedMemory::create(HostAddressSpace& space, std::uint64_t length) {
  return guarded([&]() -> Result<std::unique_ptr<SharedMemory>> {
    auto const page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::uint64_t const size = (length + (page - 1)) & ~(page - 1);
    if (length == 0 || size < length || static_cast<off_t>(size) < 0)
      return fail(EINVAL, fmt::format("a memfd of {:#x} bytes", length));
    int const descriptor = ::memfd_create("swiommu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return fail(errno, "cannot make a memfd");
    auto const failed = [&](Error error) {
      ::close(descriptor);
      return std::unexpected(std::move(error));
    };
    if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0 ||
        ::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
      return failed({errno, "cannot size a memfd"});
    auto memory = map(space, descriptor, 0, length, true);
    if (!memory) return failed(std::move(memory).error());
    (*memory)->descriptor_ = descriptor;
    return memory;
  });
}

Result<std::unique_ptr<SharedMemory>> SharedMemory::map(HostAddressSpace& space, int descriptor, std::uint64_t offset,
                                                        std::uint64_t length, bool writable) {
  return guarded([&]() -> Result<std::unique_ptr<SharedMemory>> {
    struct stat status;
    if (::fstat(descriptor, &status) != 0) return fail(errno, "the descriptor of shared memory");
    auto const size = static_cast<std::uint64_t>(status.st_size);
    if (S_ISREG(status.st_mode) && (offset > size || length > size - offset))
      return fail(EINVAL, fmt::format("{:#x} bytes from offset {:#x} of a file of {:#x} bytes", length, offset, size));
    auto const address = space.map_shared(descriptor, offset, length, writable);
    if (!address) return std::unexpected(address.error());
    std::unique_ptr<SharedMemory> memory(new (std::nothrow) SharedMemory(space, *address, length, writable));
    if (memory) return memory;
    space.unmap_shared(*address, length, writable);
    return out_of_memory();
  });
}

SharedMemory::~SharedMemory() {
  space_.unmap_shared(host_address(0), length(), writable());
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace swiommu
