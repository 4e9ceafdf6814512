// Everything is opened, attached, made and destroyed beside everything else.
#include <gtest/gtest.h>
#include <random>

#include "dma_poison.h"
#include "dma_tree.h"
#include "swiommu/domain/fixed_domains.h"

namespace swiommu {
namespace {

constexpr std::uint64_t slots = 6;

void do_some_dma(Port& port, std::minstd_rand& random, std::vector<std::optional<Pasid>> const& pasids) {
  std::array<std::uint64_t, 4> words;
  for (int n = 0; n < 8; n++)
    (void)port.read(Iova(random() % (slots * DmaTree::page) & ~std::uint64_t{63}), words.data(), sizeof words,
                    pasids[random() % pasids.size()]);
}

TEST(PortConcurrencyChurn, PortsDomainsAndAttachmentsComeAndGo) {
  DmaTree tree(slots);
  for (std::uint64_t n = 0; n < slots; n++) tree.memory->data(n)[0] = std::byte{1};
  std::atomic<bool> stop = false;
  std::vector<std::optional<Pasid>> const pasids{std::nullopt, DmaTree::nested_pasid, DmaTree::shadow_pasid, Pasid{3}, Pasid{4}};
  std::atomic<std::uint64_t> ports = 0, changes = 0, domains = 0;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {  // ports
    std::minstd_rand random(1);
    for (; !stop; ports++) {
      auto const port = tree.device->open_port().value();
      do_some_dma(*port, random, pasids);
      if (ports % 8 == 0) std::this_thread::yield();
    }
  });
  threads.emplace_back([&] {  // attachments, of domains that die as soon as they are detached
    for (; !stop; domains++) {
      Pasid const pasid = 3 + domains % 2;
      std::shared_ptr<Domain> domain;
      switch (domains % 3) {
        case 0: domain = NestedDomain::create(tree.paging, tree.user->description()).value(); break;
        case 1: domain = ShadowDomain::create(tree.paging, tree.user->description()).value(); break;
        default: domain = IdentityDomain::create(tree.nested).value();
      }
      tree.device->attach(std::move(domain), pasid).value();
      if (domains % 2 == 0) std::this_thread::yield();
      tree.device->replace(tree.nested, pasid).value();
      tree.device->detach(pasid).value();
    }
  });
  std::jthread const parent([&] {
    for (std::uint64_t turn = 0; turn < concurrent_turns || ports < 100 || domains < 100; turn++, changes++) {
      std::uint64_t const n = turn % slots;
      tree.paging->unmap(DmaTree::pages(n)).value();
      tree.map(n, n).value();
      tree.nested->invalidate(Range::all()).value();
      if (turn % 8 == 0) tree.shadow->refresh(tree.data()).value();
      if (turn % 4 == 0) std::this_thread::yield();
    }
    stop = true;
  });
  std::minstd_rand random(2);
  auto const port = tree.device->open_port().value();
  for (std::uint64_t n = 0; !stop; n++) {
    do_some_dma(*port, random, pasids);
    if (n % 8 == 0) std::this_thread::yield();
  }
  threads.clear();
  // All is as it was, and nobody who is gone is told or waited for.
  ASSERT_TRUE(tree.shadow->refresh(Range::all()));
  for (auto const pasid : {std::optional<Pasid>(), std::optional(DmaTree::nested_pasid), std::optional(DmaTree::shadow_pasid)}) {
    std::uint8_t byte = 0;
    EXPECT_TRUE(port->read(Iova(DmaTree::page), &byte, 1, pasid).ok());
    EXPECT_EQ(byte, 1);
  }
  for (Pasid const pasid : {3u, 4u}) EXPECT_EQ(tree.device->domain(pasid), nullptr);
}

// Others ask and change while a port stays inside its guards: nobody waits for somebody who waits.
TEST(PortConcurrencyChurn, ManyDevicesShareATree) {
  DmaTree tree(slots);
  std::atomic<bool> stop = false;
  std::vector<std::jthread> threads;
  for (unsigned n = 0; n < 3; n++) {
    threads.emplace_back([&, n] {
      std::minstd_rand random(n + 1);
      for (std::uint64_t turn = 0; turn < concurrent_turns; turn++) {
        auto const device = Device::create(tree.host, {.requester_id = n}).value();
        device->attach(turn % 2 == 0 ? std::shared_ptr<Domain>(tree.nested) : tree.shadow).value();
        auto const port = device->open_port().value();
        do_some_dma(*port, random, {std::nullopt});
        Port::Guard const guard(*port);
        EXPECT_NE(device->domain(), nullptr);
        EXPECT_NE(tree.device->domain(DmaTree::nested_pasid), nullptr);
        if (turn % 4 == 0) std::this_thread::yield();
      }
      if (n == 0) stop = true;
    });
  }
  for (std::uint64_t turn = 0; !stop; turn++) {
    ASSERT_TRUE(tree.paging->unmap(DmaTree::pages(turn % slots)));
    ASSERT_TRUE(tree.map(turn % slots, turn % slots));
    ASSERT_TRUE(tree.device->replace(turn % 2 == 0 ? std::shared_ptr<Domain>(tree.paging) : tree.nested, DmaTree::nested_pasid));
    std::this_thread::yield();
  }
}

// The user writes nonsense into its table while it is walked.
TEST(PortConcurrencyChurn, HostileTablesHurtNobodyElse) {
  DmaTree tree(slots);
  std::atomic<bool> stop = false;
  std::jthread const hostile([&] {
    std::minstd_rand random(7);
    auto const anything = [&] { return std::uint64_t{random()} << 32 ^ std::uint64_t{random()} << 8 ^ random(); };
    while (!stop) {
      std::uint64_t const table = slots + random() % 4;  // the user's four tables
      auto* const words = reinterpret_cast<std::uint64_t*>(tree.memory->data(table));
      std::uint64_t word = anything();
      if (random() % 2 == 0) word = (slots + random() % 6) * DmaTree::page | 7;  // a table, perhaps the one that it is in
      __atomic_store_n(&words[random() % 8], word, __ATOMIC_RELAXED);
      if (word % 64 == 0) std::this_thread::yield();
    }
  });
  // A shadow takes in no more than it is given leave to, whatever tables lead to themselves.
  auto const shadow = ShadowDomain::create(tree.paging, tree.user->description(), {}, ShadowDomain::default_format, 4096).value();
  tree.device->attach(shadow, Pasid{3}).value();
  auto const port = tree.device->open_port().value();
  std::minstd_rand random(8);
  std::uint64_t seen = 0;
  auto const look = [&](Iova iova, Pasid pasid) {  // atomically: the user's table may lead to itself
    Port::Guard const guard(*port);
    auto const chunk = port->translate(guard, iova, Access::reading(), pasid);
    if (!chunk) return;
    std::byte const* const end = tree.memory->data(tree.memory->range().length() / DmaTree::page);
    ASSERT_TRUE(tree.memory->data(0) <= chunk->data && chunk->length <= static_cast<std::uint64_t>(end - chunk->data));
    seen ^= __atomic_load_n(reinterpret_cast<std::uint64_t*>(chunk->data), __ATOMIC_RELAXED);
  };
  for (std::uint64_t turn = 0; turn < 10 * concurrent_turns; turn++) {
    std::uint64_t word = 0;
    Iova const iova(random() % (16 * DmaTree::page) & ~std::uint64_t{7});
    look(iova, DmaTree::nested_pasid);
    auto const direct = port->read(Iova(slots / 2 * DmaTree::page), &word, 8);
    EXPECT_TRUE(direct.ok());
    if (turn % 16 == 0) {
      EXPECT_TRUE(tree.nested->invalidate(Range::all()));
    }
    if (turn % 64 == 0) {
      auto const refreshed = shadow->refresh(Range::all());
      EXPECT_TRUE(refreshed || refreshed.error().code == E2BIG);
      look(iova, Pasid{3});
      std::this_thread::yield();
    }
  }
  stop = true;
}

}  // namespace
}  // namespace swiommu
