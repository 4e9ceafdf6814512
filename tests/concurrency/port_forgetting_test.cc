// Pages that share one place of a port's table, taken away one by one while the port puts them in.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "dma_poison.h"
#include "port_fixture.h"

namespace swiommu {
namespace {

// As the table spreads inputs: these blocks are all of set 0.
constexpr std::uint64_t iova_of(std::uint64_t n) { return (n << 15 | n) * page; }

TEST_F(PortTest, ConcurrencyOfForgettingAndKeepingInOneSetLosesNothing) {
  constexpr std::uint64_t pages = 5;
  constexpr std::uint8_t good = 1, poison = 0xdb;
  ASSERT_TRUE(device->attach(domain));
  auto const set = [&](std::uint64_t n, std::uint8_t byte) {
    __atomic_store_n(reinterpret_cast<std::uint8_t*>(memory->data(n)), byte, __ATOMIC_RELAXED);
  };
  auto const map_page = [&](std::uint64_t n, std::uint64_t to) {
    ASSERT_TRUE(domain->map({iova_of(n), iova_of(n) + page - 1}, memory->address(to), read_write));
  };
  for (std::uint64_t n = 0; n < pages; n++) {
    set(n, good);
    map_page(n, n);
  }
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> attempts = 0, wrong = 0;
  std::jthread const dma([&] {
    for (std::uint64_t turn = 0; !stop; turn++) {
      attempts++;
      Port::Guard const guard(*port);
      auto const chunk = port->translate(guard, Iova(iova_of(turn * 7 / 3 % pages)), Access::reading());
      if (!chunk) continue;
      if (__atomic_load_n(reinterpret_cast<std::uint8_t*>(chunk->data), __ATOMIC_RELAXED) != good) wrong++;
    }
  });
  for (std::uint64_t turn = 0; turn < 10 * concurrent_turns; turn++) {
    std::uint64_t const n = turn % pages;
    ASSERT_TRUE(domain->unmap({iova_of(n), iova_of(n) + page - 1}));
    set(n, poison);
    // as long as it takes to try each of them
    for (std::uint64_t const seen = attempts; attempts < seen + 2 * pages;) std::this_thread::yield();
    set(n, good);
    map_page(n, n);
  }
  stop = true;
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace swiommu
