#include "swiommu/memory/known_runs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <shared_mutex>
#include <thread>
#include <vector>

namespace swiommu {
namespace {

struct KnownRunsTest : testing::Test {
  // 2 KiB of it: not on the stack of a test that has threads
  std::unique_ptr<KnownRuns> runs = std::make_unique<KnownRuns>();
};

TEST_F(KnownRunsTest, NothingIsKnownAtFirst) {
  EXPECT_FALSE(runs->last_of_run(0, false));
  EXPECT_FALSE(runs->last_of_run(~std::uint64_t{0}, true));
}

TEST_F(KnownRunsTest, ARunIsKnownWhereItWasFoundUntilAnythingChanges) {
  runs->keep(0x5000, false, {0x4000, 0x7fff});
  EXPECT_EQ(runs->last_of_run(0x4000, false), 0x7fffu);
  EXPECT_EQ(runs->last_of_run(0x7fff, false), 0x7fffu);
  EXPECT_FALSE(runs->last_of_run(0x3fff, false));
  EXPECT_FALSE(runs->last_of_run(0x8000, false));
  EXPECT_FALSE(runs->last_of_run(0x5000, true)) << "what can be read is not what can be written";
  runs->forget();
  EXPECT_FALSE(runs->last_of_run(0x5000, false));
  runs->keep(0x5000, false, {0x5000, 0x5fff});
  EXPECT_EQ(runs->last_of_run(0x5800, false), 0x5fffu);
  EXPECT_FALSE(runs->last_of_run(0x6000, false));
}

TEST_F(KnownRunsTest, TheWholeSpaceMayBeOneRun) {
  runs->keep(0, true, Range::all());
  EXPECT_EQ(runs->last_of_run(0, true), Range::all().last);
}

// The k-th state of the world is one run of k pages, at k pages: halves of two of them would fit nowhere.
TEST_F(KnownRunsTest, WhatIsFoundBesideChangesIsARunOfOneState) {
  constexpr std::uint64_t states = 2000, page = 4096;
  std::shared_mutex registrations;
  std::atomic<std::uint64_t> state = 1;
  std::atomic<std::uint64_t> wrong = 0, found = 0, turns = 0;
  std::atomic<bool> done = false;
  auto const run = [](std::uint64_t k) { return Range{k % 100 * page, k % 100 * page + k * page - 1}; };
  std::vector<std::jthread> readers;
  for (unsigned n = 0; n < 2; n++) {
    readers.emplace_back([&] {
      while (!done) {
        std::uint64_t const before = state;
        std::uint64_t const address = run(before).start;
        if (auto const last = runs->last_of_run(address, false)) {
          std::uint64_t const after = state + 1;  // a change may be on its way
          bool is_one = false;
          for (std::uint64_t k = before; k <= after && !is_one; k++) is_one = run(k).last == *last && run(k).contains(address);
          wrong += is_one ? 0 : 1;
          found++;
        } else {
          std::shared_lock const lock(registrations);
          Range const present = run(state);
          if (present.contains(address)) runs->keep(address, false, present);
        }
        if (++turns % 8 == 0) std::this_thread::yield();  // the lock prefers readers
      }
    });
  }
  while (state < states || found == 0) {
    {
      std::unique_lock const lock(registrations);
      runs->forget();
      state++;
    }
    if (state % 16 == 0) std::this_thread::yield();
  }
  done = true;
  readers.clear();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(found, 0u);
}

}  // namespace
}  // namespace swiommu
