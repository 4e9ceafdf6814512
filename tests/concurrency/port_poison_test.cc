// Threads do DMA while others take pages away: no DMA sees, or touches, a page after the call that took it away has returned.
#include <gtest/gtest.h>

#include "dma_poison.h"
#include "dma_tree.h"

namespace swiommu {
namespace {

constexpr std::uint64_t least = concurrent_turns;

struct Way {
  std::string_view name;
  std::vector<std::optional<Pasid>> pasids;
};
void PrintTo(Way const& way, std::ostream* out) { *out << way.name; }

struct PortConcurrencyPages : testing::TestWithParam<Way> {
  static constexpr std::uint64_t slots = 12;
  PortConcurrencyPages() {
    for (std::uint64_t n = 0; n < slots; n++) {
      pages.make_good(n);
      pages.poison_page(tree.spare(n));
    }
  }
  void expect_clean(DmaThreads& dma) {
    dma.stop();
    EXPECT_EQ(dma.poison_seen(), 0u);
    EXPECT_GT(dma.succeeded(), 0u);
    EXPECT_EQ(dma.faults(), dma.faults(Reason::not_mapped) + dma.faults(Reason::output_unreachable));
  }
  DmaTree tree{slots};
  PoisonPages pages{*tree.memory};
};
INSTANTIATE_TEST_SUITE_P(PortConcurrency, PortConcurrencyPages,
                         testing::Values(Way{"Paging", {std::nullopt}}, Way{"Nested", {DmaTree::nested_pasid}},
                                         Way{"Shadow", {DmaTree::shadow_pasid}},
                                         Way{"AllTogether", {std::nullopt, DmaTree::nested_pasid, DmaTree::shadow_pasid}}),
                         [](auto const& way) { return std::string(way.param.name); });

// Two threads, each with every other page, unmap, map and replace.
TEST_P(PortConcurrencyPages, AreNotTouchedOnceUnmappedOrReplaced) {
  DmaThreads dma({tree.device, GetParam().pasids, tree.data()}, 2);
  std::atomic<std::uint64_t> broken = 0;
  auto const change = [&](std::uint64_t odd) {
    std::array<bool, slots> elsewhere{};  // the page is mapped to its spare
    for (std::uint64_t turn = 0; turn < least || !dma.did(least); turn++) {
      std::uint64_t const n = turn * 5 % (slots / 2) * 2 + odd;
      std::uint64_t const used = elsewhere[n] ? tree.spare(n) : n, other = elsewhere[n] ? n : tree.spare(n);
      if (turn / 3 % 2 == 0) {
        tree.paging->unmap(DmaTree::pages(n)).value();
        pages.poison_page(used);
        if (turn % 4 == 0) std::this_thread::yield();
        broken += !pages.revive(used);
        tree.map(n, used).value();
      } else {
        broken += !pages.revive(other);
        tree.replace(n, other).value();
        pages.poison_page(used);
        elsewhere[n] = !elsewhere[n];
      }
    }
  };
  {
    std::jthread const even(change, 0), odd(change, 1);
  }
  expect_clean(dma);
  EXPECT_EQ(broken, 0u);
}

// No DMA may fault while pages only change their places.
TEST_P(PortConcurrencyPages, AreReplacedWithoutAGap) {
  DmaThreads dma({tree.device, GetParam().pasids, tree.data()}, 2);
  std::uint64_t broken = 0;
  for (std::uint64_t turn = 0; turn < least || !dma.did(least); turn++) {
    std::uint64_t const n = turn % slots;
    bool const away = turn / slots % 2 == 0;
    std::uint64_t const to = away ? tree.spare(n) : n, from = away ? n : tree.spare(n);
    broken += !pages.revive(to);
    ASSERT_TRUE(tree.replace(n, to));
    pages.poison_page(from);
  }
  expect_clean(dma);
  EXPECT_EQ(broken, 0u);
  EXPECT_EQ(dma.faults(), 0u);
}

// The user changes its own table, and invalidates or refreshes as its hardware wants it.
struct PortConcurrencyUser : PortConcurrencyPages {
  Pasid pasid() const { return *GetParam().pasids[0]; }
  void tell(Range iovas) {
    if (pasid() == DmaTree::nested_pasid)
      tree.nested->invalidate(iovas).value();
    else
      tree.shadow->refresh(iovas).value();
  }
};
INSTANTIATE_TEST_SUITE_P(PortConcurrency, PortConcurrencyUser,
                         testing::Values(Way{"Nested", {DmaTree::nested_pasid}}, Way{"Shadow", {DmaTree::shadow_pasid}}),
                         [](auto const& way) { return std::string(way.param.name); });

TEST_P(PortConcurrencyUser, TakesPagesAwayWhileTheParentChanges) {
  DmaThreads dma({tree.device, GetParam().pasids, tree.data()}, 2);
  // The lower half of the pages is the user's to move, the upper half the parent's.
  std::atomic<std::uint64_t> broken = 0;
  std::jthread parent([&] {
    for (std::uint64_t turn = 0; turn < least; turn++) {
      std::uint64_t const n = slots / 2 + turn % (slots / 2);
      tree.paging->unmap(DmaTree::pages(n)).value();
      pages.poison_page(n);
      broken += !pages.revive(n);
      tree.map(n, n).value();
    }
  });
  for (std::uint64_t turn = 0; turn < least || !dma.did(least); turn++) {
    std::uint64_t const n = turn % (slots / 2);
    ASSERT_TRUE(tree.user->unmap(DmaTree::pages(n)));
    tell(DmaTree::pages(n));
    pages.poison_page(n);
    if (turn % 4 == 0) std::this_thread::yield();
    broken += !pages.revive(n);
    ASSERT_TRUE(tree.user->map(DmaTree::pages(n), n * DmaTree::page));
    if (pasid() == DmaTree::shadow_pasid) tell(DmaTree::pages(n));
  }
  parent.join();
  expect_clean(dma);
  EXPECT_EQ(broken, 0u);
}

// A guest that changes its anchor again and again: domains are made, attached and destroyed.
TEST_P(PortConcurrencyUser, ChangesItsAnchor) {
  // A second table, which leads to the upper half of the pages where the first leads to the lower half.
  UserTable second({.format = FormatName::x86_64, .levels = 4}, tree.guest, DmaTree::pages(slots + DmaTree::table_pages / 2, 16));
  for (std::uint64_t n = 0; n < slots / 2; n++) ASSERT_TRUE(second.map(DmaTree::pages(n), (n + slots / 2) * DmaTree::page));
  for (std::uint64_t n = slots / 2; n < slots; n++) pages.poison_page(n);
  std::uint64_t broken = 0;
  DmaThreads dma({tree.device, GetParam().pasids, DmaTree::pages(0, slots / 2)}, 2);
  bool gap = false;
  for (std::uint64_t turn = 0; turn < least || !dma.did(least); turn++) {
    bool const up = turn % 2 == 0;
    for (std::uint64_t n = 0; n < slots / 2; n++) broken += !pages.revive(up ? n + slots / 2 : n);
    auto const& table = up ? second.description() : tree.user->description();
    std::shared_ptr<Domain> next;
    if (pasid() == DmaTree::nested_pasid) {
      next = NestedDomain::create(tree.paging, table).value();
    } else {
      auto const made = ShadowDomain::create(tree.paging, table).value();
      made->refresh(Range::all()).value();
      next = made;
    }
    if (turn % 8 == 7) {
      gap = true;
      ASSERT_TRUE(tree.device->detach(pasid()));
      ASSERT_TRUE(tree.device->attach(next, pasid()));
    } else {
      ASSERT_TRUE(tree.device->replace(next, pasid()));
    }
    for (std::uint64_t n = 0; n < slots / 2; n++) pages.poison_page(up ? n : n + slots / 2);
  }
  dma.stop();
  EXPECT_EQ(broken, 0u);
  EXPECT_EQ(dma.poison_seen(), 0u);
  EXPECT_GT(dma.succeeded(), 0u);
  EXPECT_EQ(dma.faults(), dma.faults(Reason::configuration));
  EXPECT_TRUE(gap);
}

// Replacing a device's domain shows the old or the new one, never nothing.
TEST(PortConcurrencyDevice, ReplacesDomainsWithoutAGap) {
  constexpr std::uint64_t slots = 4;
  DmaTree tree(slots);
  PoisonPages pages(*tree.memory);
  auto const other = PagingDomain::create(tree.host, {.format = FormatName::amd_v1}).value();
  for (std::uint64_t n = 0; n < slots; n++) {
    ASSERT_TRUE(other->map(DmaTree::pages(n), tree.memory->address(tree.spare(n)), {.access = Access::both()}));
    pages.make_good(n);
    pages.poison_page(tree.spare(n));
  }
  DmaThreads dma({tree.device, {std::nullopt}, tree.data()}, 2);
  std::uint64_t broken = 0;
  for (std::uint64_t turn = 0; turn < least || !dma.did(least); turn++) {
    bool const away = turn % 2 == 0;
    for (std::uint64_t n = 0; n < slots; n++) broken += !pages.revive(away ? tree.spare(n) : n);
    ASSERT_TRUE(tree.device->replace(away ? other : tree.paging));
    for (std::uint64_t n = 0; n < slots; n++) pages.poison_page(away ? n : tree.spare(n));
  }
  dma.stop();
  EXPECT_EQ(broken, 0u);
  EXPECT_EQ(dma.poison_seen(), 0u);
  EXPECT_EQ(dma.faults(), 0u);
}

}  // namespace
}  // namespace swiommu
