// An emulated device that does DMA behind a software IOMMU.
//
// The "VMM" owns some memory and maps it as guest memory into a paging domain. The "guest" writes an I/O page table into its
// memory. The device is attached to a nested domain on that table and copies a buffer, as a DMA engine would; then the guest
// takes the buffer away, and the device meets a fault.
#include <cstdio>
#include <cstring>
#include <memory>

#include "swiommu/device/port.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/memory/backing.h"
#include "swiommu/memory/host_address_space.h"

namespace {

constexpr std::uint64_t guest_memory_size = 16 << 20;
constexpr swiommu::Attributes read_write{.access = swiommu::Access::both()};

// Where the guest takes the pages of its tables from: the second half of its memory.
class GuestPages final : public swiommu::UserTableSource {
 public:
  swiommu::Result<std::uint64_t> allocate(unsigned size_lg2) override {
    std::uint64_t const size = std::uint64_t{1} << size_lg2;
    std::uint64_t const page = (next_ + size - 1) & ~(size - 1);
    if (page + size > guest_memory_size) return swiommu::fail(ENOMEM, "the guest is out of pages");
    next_ = page + size;
    return page;
  }
  void release(std::uint64_t, unsigned) override {}

 private:
  std::uint64_t next_ = guest_memory_size / 2;
};

// A DMA engine with one operation.
class CopyEngine {
 public:
  explicit CopyEngine(swiommu::Port& port) : port_(port) {}

  bool copy(std::uint64_t from, std::uint64_t to, std::uint64_t length) {
    auto const buffer = std::make_unique<std::byte[]>(length);
    return done(port_.read(swiommu::Iova(from), buffer.get(), length)) &&
           done(port_.write(swiommu::Iova(to), buffer.get(), length));
  }

 private:
  static bool done(swiommu::DmaResult const& result) {
    if (!result.ok())
      std::printf("DMA fault after %llu bytes: %s\n", static_cast<unsigned long long>(result.done),
                  describe(*result.fault).c_str());
    return result.ok();
  }

  swiommu::Port& port_;
};

swiommu::Result<int> run() {
  // The VMM: memory, shared so that it could be given to other processes as well, 1:1 into a paging domain.
  auto space = swiommu::HostAddressSpace::create();
  if (!space) return std::unexpected(space.error());
  std::shared_ptr<swiommu::HostAddressSpace> const memory = std::move(*space);
  auto const ram = swiommu::SharedMemory::create(*memory, guest_memory_size);
  if (!ram) return std::unexpected(ram.error());
  auto const host = swiommu::Host::create(memory);
  if (!host) return std::unexpected(host.error());
  auto const paging = swiommu::PagingDomain::create(*host, {.format = swiommu::FormatName::vtd_second_stage});
  if (!paging) return std::unexpected(paging.error());
  SWIOMMU_TRY((*paging)->map({0, guest_memory_size - 1}, (*ram)->host_address(0), read_write));

  // The guest: its own page table in its own memory. iova 0x100000 -> 0x3000, iova 0x200000 -> 0x7000.
  GuestPages pages;
  swiommu::UserPageTable description{.format = {.format = swiommu::FormatName::x86_64}};
  auto const table = swiommu::PageTable::create_user(description, **paging, pages);
  if (!table) return std::unexpected(table.error());
  swiommu::Gather gather;
  for (auto const& [iova, address] : {std::pair{0x100000, 0x3000}, std::pair{0x200000, 0x7000}}) {
    auto const start = static_cast<std::uint64_t>(iova);
    SWIOMMU_TRY((*table)->map({start, start + 0xfff}, static_cast<std::uint64_t>(address), read_write, swiommu::Existing::refuse,
                              swiommu::Cut::refuse, gather));
  }

  // The guest sets its anchor: a new nested domain, for the device.
  description.root = (*table)->root();
  auto const nested = swiommu::NestedDomain::create(*paging, description);
  if (!nested) return std::unexpected(nested.error());
  auto const device = swiommu::Device::create(*host, {.requester_id = 0x28});
  if (!device) return std::unexpected(device.error());
  SWIOMMU_TRY((*device)->attach(*nested));
  auto const port = (*device)->open_port();
  if (!port) return std::unexpected(port.error());

  CopyEngine engine(**port);
  char const message[] = "hello from the device";
  std::memcpy(memory->pointer((*ram)->host_address(0x3010)), message, sizeof message);
  if (!engine.copy(0x100010, 0x200020, sizeof message)) return 1;
  auto const* const copied = reinterpret_cast<char const*>(memory->pointer((*ram)->host_address(0x7020)));
  std::printf("copied through both levels: \"%s\"\n", copied);
  if (std::strcmp(copied, message) != 0) return 1;

  // The guest takes the source away and invalidates; the device is told so, and nothing is written.
  auto const unmapped = (*table)->unmap({0x100000, 0x100fff}, swiommu::Cut::refuse, gather);
  if (!unmapped) return std::unexpected(unmapped.error());
  SWIOMMU_TRY((*nested)->invalidate({0x100000, 0x100fff}));
  bool const faulted = !engine.copy(0x100010, 0x200020, sizeof message);
  SWIOMMU_TRY((*device)->detach());
  return faulted ? 0 : 1;
}

}  // namespace

int main() {
  auto const status = run();
  if (status) return *status;
  std::fprintf(stderr, "error: %s\n", status.error().message().c_str());
  return 1;
}
