// A trap thread serves RPCITs and new anchors while ports do DMA and a VMM thread maps and unmaps other memory.
#include <gtest/gtest.h>

#include <thread>

#include "nesting/random.h"
#include "zpci/zpci_guest.h"

namespace swiommu::zpci {
namespace {

constexpr std::uint64_t page = Guest::page, operand = std::uint64_t{0x80000001} << 32;
constexpr unsigned pages = 64;

std::uint64_t iova(std::uint64_t n) { return Guest::dma_start + n * 17 * page; }

TEST(ZpciConcurrency, DmaSeesWhatTheTrapThreadHasMadeOfIt) {
  Guest guest;
  // Page n of the iovas leads to data page n or n + pages, never to nothing. What lies there says which.
  for (std::uint64_t n = 0; n < 2 * pages; n++) guest.data(n * page) = n;
  std::uint64_t roots[2] = {guest.new_table(), guest.new_table()};
  for (std::uint64_t const root : roots)
    for (std::uint64_t n = 0; n < pages; n++) guest.map(root, iova(n), n * page);
  auto const device = *Device::create(guest.host);
  auto const owner = *GuestFunction::create(guest.parent, device, {.words = 128});
  swiommu_zpci_function* const function = intercepts(*owner);
  auto const until_done = [](auto const& once) {
    swiommu_zpci_call call{};
    for (;;)
      if (Answer const answer = once(&call); answer.outcome != SWIOMMU_ZPCI_AGAIN) return answer.condition_code;
  };
  auto const anchor = [&](std::uint64_t root, unsigned operation) {
    Fib const fib = Guest::fib(Guest::anchor(root));
    return until_done([&](swiommu_zpci_call* call) { return swiommu_zpci_mpcifc(function, operand | operation, &fib, call); });
  };
  ASSERT_EQ(anchor(roots[0], SWIOMMU_ZPCI_REGISTER_IOAT), SWIOMMU_ZPCI_OK);

  std::atomic<bool> stop = false;
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 2; t++)
    threads.emplace_back([&, t] {
      auto const port = *device->open_port();
      for (std::uint64_t n = t; !stop.load(std::memory_order_relaxed); n = (n + 7) % pages) {
        std::uint64_t word = ~std::uint64_t{0};
        ASSERT_TRUE(port->read(Iova(iova(n)), &word, sizeof word).ok()) << n;
        ASSERT_EQ(word % pages, n);
      }
    });
  threads.emplace_back([&] {
    // Beyond all that the function uses, and between its data and its tables.
    constexpr Range beyond{bit(32), bit(32) + 0xffff}, between{Guest::data_size - 0x10000, Guest::data_size - 1};
    while (!stop.load(std::memory_order_relaxed)) {
      ASSERT_TRUE(guest.parent->map(beyond, HostAddress(Guest::host_base), {.access = Access::both()}));
      ASSERT_TRUE(guest.parent->unmap(between, Cut::split));
      ASSERT_TRUE(guest.parent->unmap(beyond));
      ASSERT_TRUE(guest.parent->map(between, HostAddress(Guest::host_base + between.start), {.access = Access::both()}));
    }
  });

  auto const port = *device->open_port();
  unsigned current = 0;
  for (unsigned step = 0; step < nesting::effort(400) && !testing::Test::HasFailure(); step++) {
    std::uint64_t const n = step * 11 % pages, to = (n + (step / pages % 2 == 0 ? pages : 0)) * page;
    guest.map(roots[current], iova(n), to);
    ASSERT_EQ(until_done([&](swiommu_zpci_call* call) {
                return step % 16 == 0 ? swiommu_zpci_rpcit(function, operand, Guest::dma_start, bit(40), call)
                                      : swiommu_zpci_rpcit(function, operand, iova(n), page, call);
              }),
              SWIOMMU_ZPCI_OK);
    std::uint64_t word = 0;
    ASSERT_TRUE(port->read(Iova(iova(n)), &word, sizeof word).ok());
    ASSERT_EQ(word, to / page);
    if (step % 50 == 49) {
      current = 1 - current;
      ASSERT_EQ(anchor(roots[current], SWIOMMU_ZPCI_REREGISTER_IOAT), SWIOMMU_ZPCI_OK);
    }
  }
  stop = true;
}

}  // namespace
}  // namespace swiommu::zpci
