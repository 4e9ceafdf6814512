// Everything at the same time for as long as one likes: pages are mapped, unmapped and replaced by the parent and by the user,
// tables are invalidated, anchors change, and ports do DMA through all of it. What each DMA meets is held against a model, and
// what is not mapped is poisoned.
//
//   SWIOMMU_STRESS_SECONDS=600   how long
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <sstream>

#include "dma_poison.h"
#include "dma_tree.h"
#include "stress/stress_model.h"

namespace swiommu {
namespace {

using stress::Slot;

class PortStress : public testing::Test {
 protected:
  static constexpr std::uint64_t slots = 48, owners = 2, ports = 2;

  PortStress() {
    for (std::uint64_t n = 0; n < slots; n++) {
      pages.make_good(n);
      stamp(n, n, slot[n].state());
      pages.poison_page(tree.spare(n));
      // What the user may map: spare pages are guest pages too.
      if (is_users(n)) tree.map(tree.spare(n), tree.spare(n)).value();
    }
  }

  static std::chrono::seconds duration() {
    char const* const text = std::getenv("SWIOMMU_STRESS_SECONDS");
    return std::chrono::seconds(text == nullptr ? 1 : std::strtol(text, nullptr, 10));
  }
  // Slots of the lower half are changed by the parent, those of the upper half by the user.
  static bool is_users(std::uint64_t n) { return n >= slots / 2; }

  static std::uint64_t stamp_of(std::uint64_t n, std::uint64_t state) { return n << 48 | state; }
  void stamp(std::uint64_t page, std::uint64_t n, std::uint64_t state) {
    *reinterpret_cast<std::uint64_t*>(tree.memory->data(page)) = stamp_of(n, state);
  }

  void unmap(std::uint64_t n) {
    if (!is_users(n)) return tree.paging->unmap(DmaTree::pages(n)).value(), void();
    std::lock_guard const lock(user);
    tree.user->unmap(DmaTree::pages(n)).value();
    tell(n);
  }
  void map(std::uint64_t n, std::uint64_t page) {
    if (!is_users(n)) return tree.map(n, page).value();
    std::lock_guard const lock(user);
    tree.user->map(DmaTree::pages(n), page * DmaTree::page).value();
    tell(n);
  }
  void replace(std::uint64_t n, std::uint64_t page) {
    if (!is_users(n)) return tree.replace(n, page).value();
    map(n, page);  // which replaces what is there
  }
  // The user tells its hardware.
  void tell(std::uint64_t n) {
    nested->invalidate(DmaTree::pages(n)).value();
    shadow->refresh(DmaTree::pages(n)).value();
  }

  // Owns every other slot.
  void own(std::uint64_t odd) {
    std::minstd_rand random(static_cast<unsigned>(odd) + 100);
    std::array<bool, slots> elsewhere{};
    for (; !stop; changes[odd]++) {
      std::uint64_t const n = random() % (slots / owners) * owners + odd;
      std::uint64_t const home = n, away = tree.spare(n), state = slot[n].state();
      if (!Slot::is_mapped(state)) {
        elsewhere[n] = random() % 2 == 0;
        std::uint64_t const page = elsewhere[n] ? away : home;
        broken += !pages.revive(page);
        stamp(page, n, Slot::next_mapped(state));
        slot[n].enter(state + 1);
        map(n, page);
      } else if (random() % 3 == 0) {
        std::uint64_t const page = elsewhere[n] ? home : away;
        broken += !pages.revive(page);
        stamp(page, n, Slot::next_mapped(state));
        slot[n].enter(state + 1);
        replace(n, page);
        elsewhere[n] = !elsewhere[n];
        slot[n].enter(Slot::next_mapped(state));
        pages.poison_page(elsewhere[n] ? home : away);
        continue;
      } else {
        slot[n].enter(state + 1);
        unmap(n);
        slot[n].enter(state + 2);
        pages.poison_page(elsewhere[n] ? away : home);
        continue;
      }
      slot[n].enter(Slot::next_mapped(state));
    }
  }

  // Changes that change nothing: invalidations, the same tables under new anchors.
  void disturb() {
    std::minstd_rand random(1);
    for (; !stop; disturbances++) {
      std::this_thread::yield();
      std::lock_guard const lock(user);
      switch (random() % 6) {
        case 0:
          nested = NestedDomain::create(tree.paging, tree.user->description()).value();
          tree.device->replace(nested, DmaTree::nested_pasid).value();
          break;
        case 1:
          shadow = ShadowDomain::create(tree.paging, tree.user->description()).value();
          shadow->refresh(Range::all()).value();
          tree.device->replace(shadow, DmaTree::shadow_pasid).value();
          break;
        case 2: nested->invalidate(Range::all()).value(); break;
        case 3: tree.paging->invalidate(DmaTree::pages(random() % slots)).value(); break;
        case 4: tree.paging->invalidate(Range::all()).value(); break;
        default: shadow->refresh(Range::all()).value();
      }
    }
  }

  void dma(std::uint64_t number) {
    auto const port = tree.device->open_port().value();
    std::minstd_rand random(static_cast<unsigned>(number) + 200);
    std::array<std::uint64_t, DmaThreads::part / 8> words{};
    words.fill(PoisonPages::good);
    std::uint64_t const part = (number + 1) * DmaThreads::part;
    for (; !stop; transfers[number]++) {
      if (transfers[number] % 64 == 0) std::this_thread::yield();
      std::uint64_t const way = random() % 3;
      std::uint64_t const n = random() % (way == 0 ? slots / 2 : slots);
      std::optional<Pasid> const pasid =
          way == 0 ? std::nullopt : std::optional(way == 1 ? DmaTree::nested_pasid : DmaTree::shadow_pasid);
      if (random() % 3 == 0) {
        (void)port->write(Iova(n * DmaTree::page + part), words.data(), sizeof words, pasid);
        continue;
      }
      std::uint64_t const before = slot[n].now();
      std::uint64_t word = 0;
      auto const result = port->read(Iova(n * DmaTree::page), &word, sizeof word, pasid);
      std::uint64_t const after = slot[n].now();
      bool const named = !result.ok() || word >> 48 == n;
      auto const met = result.ok() ? std::optional(word & low_bits(48)) : std::nullopt;
      if (named && Slot::allows(before, after, met)) continue;
      std::lock_guard const lock(end);
      if (wrong++ == 0) {
        std::ostringstream text;
        text << "slot " << n << " way " << way << " states " << before << " to " << after << ": "
             << (result.ok() ? "read " : "fault ") << std::hex << word;
        first_wrong = text.str();
      }
      ended.notify_one();
    }
  }

  DmaTree tree{slots};
  PoisonPages pages{*tree.memory};
  std::array<Slot, slots> slot;
  std::mutex user;  // the user's table, and what is made of it
  std::shared_ptr<NestedDomain> nested = tree.nested;
  std::shared_ptr<ShadowDomain> shadow = tree.shadow;
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> wrong = 0, broken = 0, disturbances = 0;
  std::array<std::atomic<std::uint64_t>, owners> changes{};
  std::array<std::atomic<std::uint64_t>, ports> transfers{};
  std::mutex end;
  std::condition_variable ended;  // something is wrong
  std::string first_wrong;
};

TEST_F(PortStress, NoDmaMeetsWhatItMayNot) {
  {
    std::vector<std::jthread> threads;
    for (std::uint64_t n = 0; n < owners; n++) threads.emplace_back([this, n] { own(n); });
    for (std::uint64_t n = 0; n < ports; n++) threads.emplace_back([this, n] { dma(n); });
    threads.emplace_back([this] { disturb(); });
    auto const enough = [&] {
      for (auto const* each : {&changes[0], &changes[1], &transfers[0], &transfers[1]})
        if (each->load() < concurrent_turns) return false;
      return disturbances > 50;
    };
    {
      std::unique_lock lock(end);
      ended.wait_for(lock, duration(), [&] { return wrong != 0; });
    }
    while (wrong == 0 && !enough()) std::this_thread::yield();
    stop = true;
  }
  EXPECT_EQ(wrong, 0u) << first_wrong;
  EXPECT_EQ(broken, 0u) << "somebody wrote to a page that was not mapped any more";
  std::uint64_t const changed = changes[0] + changes[1], transferred = transfers[0] + transfers[1];
  std::cout << changed << " changes, " << disturbances << " disturbances, " << transferred << " transfers\n";
}

}  // namespace
}  // namespace swiommu
