#include "held_guard.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

struct PortConcurrencyRemoval : testing::TestWithParam<Removal> {};
INSTANTIATE_TEST_SUITE_P(PortConcurrency, PortConcurrencyRemoval, testing::ValuesIn(removals),
                         [](auto const& removal) { return std::string(removal.param.name); });

TEST_P(PortConcurrencyRemoval, WaitsForTheGuardsThatAreHeld) { EXPECT_FALSE(meets_poison(GetParam(), poison::happens_soon)); }

TEST_P(PortConcurrencyRemoval, IsSeenByTheNextGuard) {
  DmaTree tree(2);
  auto const port = tree.device->open_port().value();
  std::uint64_t word = 0;
  ASSERT_TRUE(port->read(Iova(0), &word, 8, GetParam().pasid).ok());
  PoisonPages pages(*tree.memory);
  GetParam().take_away(tree, GetParam().pasid);
  pages.poison_page(0);
  if (port->read(Iova(0), &word, 8, GetParam().pasid).ok()) {
    EXPECT_NE(word, PoisonPages::poison);
  }
}

// A harvest waits too: what it reports is written when it returns.
TEST(PortConcurrencyHarvest, WaitsForTheGuardsThatAreHeld) {
  FormatConfiguration format{.levels = 3};
  format.dirty_updates = true;
  DmaTree tree(2, format);
  auto const port = tree.device->open_port().value();
  for (auto const clear : {Clear::no, Clear::yes}) {
    std::atomic<bool> inside = false, returned = false;
    std::jthread harvester([&] {
      while (!inside) std::this_thread::yield();
      tree.paging->read_dirty(tree.data(), clear, [](Range) {}).value();
      returned = true;
    });
    Port::Guard const guard(*port);
    EXPECT_TRUE(port->translate(guard, Iova(8), Access::both()));
    inside = true;
    EXPECT_FALSE(poison::happens_soon(returned));
  }
}

}  // namespace
}  // namespace swiommu
