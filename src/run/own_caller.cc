#include "run/own_caller.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "run/acting_registers.h"
#include "run/capabilities.h"
#include "run/file_mappings.h"
#include "run/kernel_call.h"
#include "run/memory_events.h"
#include "run/own_holding.h"
#include "run/own_memory.h"
#include "run/own_stack.h"
#include "run/owner.h"
#include "run/process_state.h"
#include "swiommu/memory/file_memory.h"

namespace swiommu::run {

bool OwnCaller::copy_in(std::uint64_t from, std::span<std::byte> to) {
  if (to.empty() || ahead_.copy(from, to)) return true;
  if (to.size() == sizeof(std::uint32_t) && !on_own_stack(from, to.size())) {
    std::size_t const length = std::min<std::uint64_t>(ReadAhead::most, host_page_size - (from & (host_page_size - 1)));
    if (length >= to.size()) {
      if (!read_own(from, ahead_.room().first(length))) return false;
      ahead_.set(from, length);
      return ahead_.copy(from, to);
    }
  }
  return read_own(from, to);
}

bool OwnCaller::copy_out(std::uint64_t to, std::span<std::byte const> from) {
  ahead_.drop();
  return from.empty() || write_own(to, from);
}

Result<int> OwnCaller::install(std::shared_ptr<iommufd::OpenFile> file) { return owner_.install(std::move(file), true); }

void OwnCaller::uninstall(int descriptor) noexcept {
  Reference const gone = table().take(descriptor);
  if (gone) kernel_call(SYS_close, descriptor);
}

std::shared_ptr<iommufd::OpenFile> OwnCaller::open_file(int descriptor) {
  Reference const held = table().find(descriptor);
  auto const* const own = dynamic_cast<OwnHolding const*>(held.get());
  return own == nullptr ? nullptr : own->file()->shared_file();
}

Result<Descriptor> OwnCaller::borrow(int descriptor) {
  if (table().has(descriptor)) return fail(EBADF, "a descriptor of no file with contents");
  int const copy = copy_internal(descriptor);
  if (copy < 0) return fail(-copy, "no such descriptor");
  return Descriptor(copy);
}

Result<std::unique_ptr<Backing>> OwnCaller::memory(std::uint64_t address, std::uint64_t length, bool writable) {
  if (any_file_mappings())
    if (auto const registers = file_mappings().acting_at(address, length)) {
      kept_ = registers->kept;
      if ((registers->protection & (writable ? PROT_WRITE : PROT_READ)) == 0)
        return fail(EFAULT, "registers that the program has mapped without those rights");
      return registers->acting->memory(registers->offset, length, writable);
    }
  before_pinning(address);
  return UserMemory::create(owner_.engine().addresses(), std::bit_cast<void*>(address), length, writable);
}

Result<std::unique_ptr<Backing>> OwnCaller::file_memory(int descriptor, std::uint64_t offset, std::uint64_t length,
                                                        bool writable) {
  if (table().has(descriptor)) return fail(EBADF, "a descriptor of no file with contents");
  return FileMemory::create(owner_.engine().addresses(), descriptor, offset, length, writable);
}

bool OwnCaller::is_device_memory(std::uint64_t address, std::uint64_t length) {
  return any_file_mappings() && file_mappings().overlaps(address, length);
}

std::shared_ptr<iommufd::Process> OwnCaller::process() { return owner_.process(); }

void OwnCaller::read_limits() {
  rlimit limits{};
  kernel_call(SYS_prlimit64, 0, RLIMIT_MEMLOCK, nullptr, &limits);
  owner_.process()->memlock_limit_pages.store(limits.rlim_cur >> host_page_lg2, std::memory_order_relaxed);
}

bool OwnCaller::has(iommufd::Capability capability) {
  return has_capability(0, capability) || (kernel_call(SYS_geteuid) == 0 && root_is_believed(capability));
}

}  // namespace swiommu::run
