// What a guest's invalidation costs where a shadow table is kept: per entry of the guest's table, and through the instruction.
#include <benchmark/benchmark.h>

#include <memory>

#include "swiommu/device/port.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/domain/shadow_domain.h"
#include "swiommu/hardware/zpci_guest_function.h"
#include "swiommu/memory/backing.h"
#include "swiommu/memory/host_address_space.h"

namespace swiommu {
namespace {

constexpr Attributes read_write{.access = Access::both()};
constexpr std::uint64_t page = 4096, dma_start = std::uint64_t{1} << 32;

// A guest whose memory is mapped 1:1, with a region-third table that maps `pages` pages from dma_start on.
struct ZpciGuest final : UserTableSource {
  static constexpr std::uint64_t size = std::uint64_t{256} << 20;

  explicit ZpciGuest(std::uint64_t mapped) : pages(mapped) {
    memory = std::move(*HostAddressSpace::create());
    ram = std::move(*SharedMemory::create(*memory, size));
    host = *Host::create(memory);
    paging = *PagingDomain::create(*host, {.format = FormatName::vtd_second_stage});
    (void)paging->map({0, size - 1}, ram->host_address(0), read_write);
    description = {.format = {.format = FormatName::s390_zpci, .levels = 3}, .big_endian = true};
    table = *PageTable::create_user(description, *paging, *this);
    description.root = table->root();
    map(0);
  }
  // To page `first` and those behind it.
  void map(std::uint64_t first) {
    Gather gather;
    (void)table->map({dma_start, dma_start + pages * page - 1}, first * page, read_write, Existing::replace, Cut::split, gather);
  }
  Result<std::uint64_t> allocate(unsigned size_lg2) override {
    return next = (next - (std::uint64_t{1} << size_lg2)) & ~((std::uint64_t{1} << size_lg2) - 1);
  }
  void release(std::uint64_t, unsigned) override {}

  std::uint64_t pages;
  std::uint64_t next = size;
  std::shared_ptr<HostAddressSpace> memory;
  std::unique_ptr<SharedMemory> ram;
  std::optional<Host> host;
  std::shared_ptr<PagingDomain> paging;
  UserPageTable description;
  std::unique_ptr<PageTable> table;
};

// Time per entry is the inverse of items_per_second.
void shadow_refresh_unchanged(benchmark::State& state) {
  ZpciGuest guest(static_cast<std::uint64_t>(state.range(0)));
  auto const shadow = *ShadowDomain::create(guest.paging, guest.description);
  Range const iovas{dma_start, dma_start + guest.pages * page - 1};
  (void)shadow->refresh(iovas);
  for (auto _ : state) benchmark::DoNotOptimize(shadow->refresh(iovas));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(shadow_refresh_unchanged)->Arg(1)->Arg(1 << 8)->Arg(1 << 14);

void shadow_refresh_changed(benchmark::State& state) {
  ZpciGuest guest(static_cast<std::uint64_t>(state.range(0)));
  auto const shadow = *ShadowDomain::create(guest.paging, guest.description);
  Range const iovas{dma_start, dma_start + guest.pages * page - 1};
  std::uint64_t first = 0;
  for (auto _ : state) {
    state.PauseTiming();
    guest.map(first = 1 - first);
    state.ResumeTiming();
    benchmark::DoNotOptimize(shadow->refresh(iovas));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(shadow_refresh_changed)->Arg(1 << 8)->Arg(1 << 14);

// RPCIT of one page that was mapped, and of the same page once it is unmapped: what Linux does for each buffer.
void rpcit_of_one_page(benchmark::State& state) {
  ZpciGuest guest(1 << 8);
  auto const device = *Device::create(*guest.host);
  auto const function = *zpci::GuestFunction::create(guest.paging, device, {});
  zpci::Fib const fib{.pba = __builtin_bswap64(dma_start),
                      .pal = __builtin_bswap64(low_bits(42)),
                      .iota = __builtin_bswap64(guest.description.root | 0x804)};
  constexpr std::uint64_t handle = std::uint64_t{0x80000001} << 32;
  if (function->modify(handle | SWIOMMU_ZPCI_REGISTER_IOAT, fib).condition_code != 0)
    return state.SkipWithError("not registered");
  auto const port = *device->open_port();
  Gather gather;
  Range const buffer{dma_start + 7 * page, dma_start + 8 * page - 1};
  for (auto _ : state) {
    (void)guest.table->unmap(buffer, Cut::refuse, gather);
    benchmark::DoNotOptimize(function->refresh(handle, buffer.start, page));
    (void)guest.table->map(buffer, 7 * page, read_write, Existing::refuse, Cut::refuse, gather);
    benchmark::DoNotOptimize(function->refresh(handle, buffer.start, page));
  }
  state.SetItemsProcessed(state.iterations() * 2);
}
BENCHMARK(rpcit_of_one_page);

// MPCIFC, reregister: a new anchor over a table with 256 pages.
void zpci_new_anchor(benchmark::State& state) {
  ZpciGuest guest(1 << 8);
  auto const device = *Device::create(*guest.host);
  auto const function = *zpci::GuestFunction::create(
      guest.paging, device,
      {.mechanism = state.range(0) != 0 ? zpci::GuestFunction::Mechanism::nested : zpci::GuestFunction::Mechanism::shadow});
  zpci::Fib const fib{.pba = __builtin_bswap64(dma_start),
                      .pal = __builtin_bswap64(low_bits(42)),
                      .iota = __builtin_bswap64(guest.description.root | 0x804)};
  constexpr std::uint64_t handle = std::uint64_t{0x80000001} << 32;
  if (function->modify(handle | SWIOMMU_ZPCI_REGISTER_IOAT, fib).condition_code != 0)
    return state.SkipWithError("not registered");
  auto const port = *device->open_port();
  for (auto _ : state) benchmark::DoNotOptimize(function->modify(handle | SWIOMMU_ZPCI_REREGISTER_IOAT, fib));
}
BENCHMARK(zpci_new_anchor)->ArgName("nested")->Arg(0)->Arg(1);

}  // namespace
}  // namespace swiommu
