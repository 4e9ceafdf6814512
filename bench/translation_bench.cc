// The hot paths, one benchmark each: what a port's hit, a walk, a map and a new anchor cost.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "swiommu/device/port.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/memory/backing.h"
#include "swiommu/memory/host_address_space.h"

namespace swiommu {
namespace {

constexpr Attributes read_write{.access = Access::both()};

// Guest memory mapped 1:1 with 4 KiB leaves, so that walks go all the way down.
struct Guest final : UserTableSource {
  explicit Guest(std::uint64_t pages) : size(pages << 12) {
    memory = std::move(*HostAddressSpace::create());
    ram = std::move(*SharedMemory::create(*memory, size));
    host = *Host::create(memory);
    paging = *PagingDomain::create(*host, {.format = FormatName::vtd_second_stage});
    for (std::uint64_t at = 0; at < size; at += 4096) (void)paging->map({at, at + 4095}, ram->host_address(at), read_write);
  }
  Result<std::uint64_t> allocate(unsigned size_lg2) override { return next -= std::uint64_t{1} << size_lg2; }
  void release(std::uint64_t, unsigned) override {}

  std::uint64_t size;
  std::uint64_t next = size;
  std::shared_ptr<HostAddressSpace> memory;
  std::unique_ptr<SharedMemory> ram;
  std::optional<Host> host;
  std::shared_ptr<PagingDomain> paging;
};

// Addresses in a fixed pseudo-random order.
std::vector<std::uint64_t> addresses(std::uint64_t pages) {
  std::vector<std::uint64_t> result(4096);
  std::uint64_t state = 1;
  for (auto& address : result) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    address = (state >> 33) % pages << 12;
  }
  return result;
}

void walk_of_four_levels(benchmark::State& state) {
  auto const pages = static_cast<std::uint64_t>(state.range(0));
  Guest guest(pages);
  auto const order = addresses(pages);
  std::size_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(guest.paging->translate(order[n++ & 4095], Access::reading(), Update::no));
}
BENCHMARK(walk_of_four_levels)->Arg(1)->Arg(1 << 9)->Arg(1 << 16);

void port_reads_one_word(benchmark::State& state) {
  auto const pages = static_cast<std::uint64_t>(state.range(0));
  Guest guest(pages);
  auto const device = *Device::create(*guest.host);
  (void)device->attach(guest.paging);
  auto const port = *device->open_port();
  auto const order = addresses(pages);
  std::size_t n = 0;
  std::uint64_t word = 0;
  for (auto _ : state) benchmark::DoNotOptimize(port->read(Iova(order[n++ & 4095]), &word, sizeof word));
}
BENCHMARK(port_reads_one_word)->Arg(1)->Arg(1 << 9)->Arg(1 << 16);

void map_and_unmap_one_page(benchmark::State& state) {
  Guest guest(1);
  auto const device = *Device::create(*guest.host);
  (void)device->attach(guest.paging);
  auto const port = *device->open_port();
  for (auto _ : state) {
    (void)guest.paging->map({1 << 20, (1 << 20) + 4095}, guest.ram->host_address(0), read_write);
    benchmark::DoNotOptimize(guest.paging->unmap({1 << 20, (1 << 20) + 4095}));
  }
}
BENCHMARK(map_and_unmap_one_page);

// What a guest's change of its anchor costs: create, attach, destroy.
void new_anchor(benchmark::State& state) {
  Guest guest(64);
  UserPageTable description{.format = {.format = FormatName::x86_64}};
  description.root = (*PageTable::create_user(description, *guest.paging, guest))->root();
  auto const device = *Device::create(*guest.host);
  (void)device->attach(*NestedDomain::create(guest.paging, description));
  auto const port = *device->open_port();
  for (auto _ : state) benchmark::DoNotOptimize(device->replace(*NestedDomain::create(guest.paging, description)));
}
BENCHMARK(new_anchor);

// The two-dimensional walk: four levels, each fetched through four levels.
void nested_walk(benchmark::State& state) {
  Guest guest(1 << 12);
  UserPageTable description{.format = {.format = FormatName::x86_64}};
  auto const table = *PageTable::create_user(description, *guest.paging, guest);
  description.root = table->root();
  Gather gather;
  (void)table->map({0, (std::uint64_t{1} << 23) - 1}, 4096, read_write, Existing::refuse, Cut::refuse, gather);
  auto const nested = *NestedDomain::create(guest.paging, description);
  auto const order = addresses(1 << 11);
  std::size_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(nested->translate(order[n++ & 4095], Access::reading(), Update::no));
}
BENCHMARK(nested_walk);

}  // namespace
}  // namespace swiommu

BENCHMARK_MAIN();
