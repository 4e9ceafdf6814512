#include "iommufd/mapping.h"

#include <fmt/format.h>

#include "iommufd/bill.h"
#include "iommufd/device_buffer.h"

namespace swiommu::iommufd {
namespace {

// Linux counts pages of up to this many bytes.
Result<void> check_length(std::uint64_t length) {
  if (length == 0) return fail(EINVAL, "a mapping of no bytes");
  if (length > ~std::uint64_t{0} - host_page_size) return fail(EINVAL, fmt::format("{:#x} bytes are too many", length));
  return {};
}

Result<PagesSlice> whole(Result<std::unique_ptr<Backing>> backing, std::shared_ptr<Account> bill, Origin origin) {
  if (!backing) return std::unexpected(std::move(backing).error());
  std::uint64_t const length = (*backing)->length();
  return PagesSlice{std::make_shared<Pages>(std::move(*backing), std::move(bill), origin), 0, length};
}

}  // namespace

Result<std::shared_ptr<Account>> new_bill(File const& file, Caller& caller) {
  return guarded([&]() -> Result<std::shared_ptr<Account>> {
    if (caller.has(Capability::ipc_lock)) return std::make_shared<Bill>(Bill::Limit::none, caller.process());
    caller.read_limits();
    return std::make_shared<Bill>(file.charge() == File::Charge::process ? Bill::Limit::process : Bill::Limit::user,
                                  caller.process());
  });
}

Result<PagesSlice> memory_of(File& file, Caller& caller, std::uint64_t address, std::uint64_t length, bool writable) {
  return guarded([&]() -> Result<PagesSlice> {
    if (address + length < address)
      return fail(EOVERFLOW, fmt::format("{:#x} bytes of memory from {:#x} leave the address space", length, address));
    SWIOMMU_TRY(check_length(length));
    // Linux' own type 1 maps BARs for DMA between devices; iommufd finds when it pins that this is no memory.
    if (!file.is_container() && caller.is_device_memory(address, length))
      return fail(EFAULT,
                  fmt::format("some of the {:#x} bytes at {:#x} are a device's, mapped through its file", length, address));
    auto bill = new_bill(file, caller);
    if (!bill) return std::unexpected(std::move(bill).error());
    return whole(caller.memory(address, length, writable), std::move(*bill),
                 {.kind = Origin::Kind::process, .address = address, .process = caller.process()->pid});
  });
}

Result<PagesSlice> file_of(File& file, Caller& caller, int descriptor, std::uint64_t start, std::uint64_t length, bool writable) {
  return guarded([&]() -> Result<PagesSlice> {
    if (length == 0) return fail(EINVAL, "a mapping of no bytes");
    if (start + (length - 1) < start)
      return fail(EOVERFLOW, fmt::format("{:#x} bytes from {:#x} are beyond the largest offset of a file", length, start));
    std::int32_t const pid = caller.process()->pid;
    if (auto const buffer = std::dynamic_pointer_cast<DeviceBuffer>(file.open_file(caller, descriptor))) {
      if (start + (length - 1) >= buffer->size())
        return fail(EINVAL,
                    fmt::format("{:#x} bytes from {:#x} of a device's buffer of {:#x} bytes", length, start, buffer->size()));
      auto pages = buffer->pages(file.engine(), start, length, writable, pid);
      if (!pages) return std::unexpected(std::move(pages).error());
      return PagesSlice{std::move(*pages), 0, length};
    }
    SWIOMMU_TRY(check_length(length));
    auto bill = new_bill(file, caller);
    if (!bill) return std::unexpected(std::move(bill).error());
    return whole(caller.file_memory(descriptor, start, length, writable), std::move(*bill),
                 {.kind = Origin::Kind::file, .address = start, .process = pid});
  });
}

}  // namespace swiommu::iommufd
