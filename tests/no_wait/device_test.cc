// Built with a library that does not wait: what the tests of ports must never see is seen here.
#include <gtest/gtest.h>

#include "held_guard.h"

namespace swiommu {
namespace {

struct PortWithoutTheWait : testing::TestWithParam<Removal> {};
INSTANTIATE_TEST_SUITE_P(Port, PortWithoutTheWait, testing::ValuesIn(removals),
                         [](auto const& removal) { return std::string(removal.param.name); });

TEST_P(PortWithoutTheWait, MeetsPoisonUnderItsGuard) { EXPECT_TRUE(meets_poison(GetParam(), happens)); }

// The racing test as well: the tables themselves stay, so that nothing worse happens than what is looked for.
TEST(PortRaceWithoutTheWait, DmaThreadsMeetPoison) {
  constexpr std::uint64_t slots = 8, at_most = 1'000'000;
  DmaTree tree(slots);
  PoisonPages pages(*tree.memory);
  for (std::uint64_t n = 0; n < slots; n++) pages.make_good(n);
  bool intact = true;
  std::uint64_t turns = 0;
  DmaThreads dma({.device = tree.device, .pasids = {std::nullopt}, .iovas = tree.data()}, 2);
  for (; turns < at_most && intact && !dma.saw_poison(); turns++) {
    std::uint64_t const n = turns % slots;
    ASSERT_TRUE(tree.paging->unmap(DmaTree::pages(n)));
    pages.poison_page(n);
    if (turns % 4 == 0) std::this_thread::yield();
    intact = pages.revive(n);
    ASSERT_TRUE(tree.map(n, n));
  }
  dma.stop();
  EXPECT_LT(turns, at_most);
}

}  // namespace
}  // namespace swiommu
