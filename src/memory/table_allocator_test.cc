#include "swiommu/memory/table_allocator.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "swiommu/base/bits.h"

namespace swiommu {
namespace {

constexpr std::uint64_t reserve = std::uint64_t{64} << 20;

std::uint64_t block_size(unsigned size_lg2) { return bit(std::max(size_lg2, TableAllocator::smallest_lg2)); }

TEST(TableAllocator, RefusesAReserveThatIsNoMultipleOfTwoMegabytes) {
  for (std::uint64_t const bad : {std::uint64_t{0}, std::uint64_t{4096}, reserve + 4096, bit(44)}) {
    auto const made = TableAllocator::create(bad);
    ASSERT_FALSE(made) << bad;
    EXPECT_EQ(made.error().code, EINVAL);
  }
  EXPECT_TRUE(TableAllocator::create());
  EXPECT_TRUE(TableAllocator::create(std::uint64_t{2} << 20));
  EXPECT_TRUE(TableAllocator::create(std::uint64_t{6} << 20)) << "no power of two";
}

TEST(TableAllocator, MakesDoWithLessWhereAddressSpaceIsScarce) {
  std::uint64_t used = 0;  // pages
  std::ifstream("/proc/self/statm") >> used;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  rlimit const scarce{.rlim_cur = used * 4096 + (std::uint64_t{6} << 30), .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &scarce), 0);
  auto const usual = TableAllocator::create();
  auto const all = TableAllocator::create(TableAllocator::default_reserve);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_TRUE(usual) << usual.error().message();
  EXPECT_TRUE((*usual)->allocate(12));
  ASSERT_FALSE(all);
  EXPECT_EQ(all.error().code, ENOMEM);
}

TEST(TableAllocator, GivesAlignedBlocksThatDoNotOverlapAndAreNeverAtZero) {
  auto const allocator = *TableAllocator::create(reserve);
  std::mt19937_64 random(1);
  std::map<std::uint64_t, unsigned> blocks;
  for (int n = 0; n < 2000; n++) {
    unsigned const lg2 = static_cast<unsigned>(5 + random() % 12);
    if (random() % 3 == 0 && !blocks.empty()) {
      auto const gone = blocks.begin();
      allocator->release(gone->first, gone->second);
      blocks.erase(gone);
      continue;
    }
    auto const table = allocator->allocate(lg2);
    ASSERT_TRUE(table) << table.error().message();
    EXPECT_NE(*table, 0u);
    EXPECT_TRUE(is_aligned(*table, lg2));
    EXPECT_TRUE(is_aligned(reinterpret_cast<std::uintptr_t>(allocator->pointer(*table)), lg2));
    auto const next = blocks.lower_bound(*table);
    ASSERT_TRUE(next == blocks.end() || *table + block_size(lg2) <= next->first);
    ASSERT_TRUE(next == blocks.begin() || std::prev(next)->first + block_size(std::prev(next)->second) <= *table);
    std::memset(allocator->pointer(*table), 0xa5, block_size(lg2));  // it is there, all of it
    blocks.emplace(*table, lg2);
  }
  std::uint64_t bytes = 0;
  for (auto const& [table, lg2] : blocks) bytes += block_size(lg2);
  EXPECT_EQ(allocator->tables_in_use(), blocks.size());
  EXPECT_EQ(allocator->bytes_in_use(), bytes);
  for (auto const& [table, lg2] : blocks) allocator->release(table, lg2);
  EXPECT_EQ(allocator->tables_in_use(), 0u);
  EXPECT_EQ(allocator->bytes_in_use(), 0u);
}

TEST(TableAllocator, UsesFreedBlocksAgainAndLeavesTheirWords) {
  auto const allocator = *TableAllocator::create(reserve);
  std::uint64_t const table = *allocator->allocate(12);
  std::memset(allocator->pointer(table), 0x5a, 4096);
  allocator->release(table, 12);
  for (int i = 0; i < 4096; i++) ASSERT_EQ(static_cast<int>(allocator->pointer(table)[i]), 0x5a) << "free lists lie elsewhere";
  EXPECT_EQ(*allocator->allocate(12), table);
}

TEST(TableAllocator, WhatAlignmentLeavesOverIsUsed) {
  auto const allocator = *TableAllocator::create(std::uint64_t{2} << 20);
  std::uint64_t const large = *allocator->allocate(20);
  EXPECT_EQ(large, bit(20));
  for (unsigned lg2 = 11; lg2 < 20; lg2++) {
    auto const left_over = allocator->allocate(lg2);
    ASSERT_TRUE(left_over) << lg2;
    EXPECT_EQ(*left_over, bit(lg2)) << "below the large block, above address 0";
  }
  EXPECT_FALSE(allocator->allocate(11));
}

TEST(TableAllocator, SaysWhenThereIsNoMore) {
  auto const allocator = *TableAllocator::create(std::uint64_t{4} << 20);
  EXPECT_EQ(allocator->allocate(32).error().code, EINVAL);
  EXPECT_EQ(allocator->allocate(TableAllocator::largest_lg2).error().code, ENOMEM);
  allocator->set_limit(3 * 4096);
  std::vector<std::uint64_t> tables;
  for (int n = 0; n < 3; n++) tables.push_back(*allocator->allocate(12));
  EXPECT_EQ(allocator->allocate(11).error().code, ENOMEM);
  allocator->release(tables.back(), 12);
  EXPECT_TRUE(allocator->allocate(12));
  allocator->set_limit(TableAllocator::never);
  while (allocator->allocate(12)) {
  }
  EXPECT_EQ(allocator->allocate(12).error().code, ENOMEM);
  allocator->release(tables.front(), 12);
  EXPECT_EQ(*allocator->allocate(12), tables.front());
}

TEST(TableAllocator, FailsAfterAsManySuccessesAsItIsTold) {
  auto const allocator = *TableAllocator::create(reserve);
  allocator->fail_after(2);
  EXPECT_TRUE(allocator->allocate(12));
  EXPECT_TRUE(allocator->allocate(12));
  EXPECT_EQ(allocator->allocate(12).error().code, ENOMEM);
  EXPECT_EQ(allocator->allocate(12).error().code, ENOMEM);
  allocator->fail_after(TableAllocator::never);
  EXPECT_TRUE(allocator->allocate(12));
}

TEST(TableAllocator, ListsKeepBlocksUntilTheyAreReleased) {
  auto const allocator = *TableAllocator::create(reserve);
  TableAllocator::List list;
  std::vector<std::uint64_t> tables;
  for (int n = 0; n < 5; n++) tables.push_back(*allocator->allocate(13));
  for (std::uint64_t const table : tables) allocator->append(list, table);
  EXPECT_EQ(list.count, 5u);
  EXPECT_EQ(allocator->tables_in_use(), 5u);
  for (int n = 0; n < 5; n++)
    for (std::uint64_t const waiting : tables) EXPECT_NE(*allocator->allocate(13), waiting);
  allocator->release_all(list, 13);
  EXPECT_EQ(list.count, 0u);
  EXPECT_EQ(allocator->tables_in_use(), 25u);
  allocator->release_all(list, 13);  // empty: nothing
  EXPECT_EQ(allocator->tables_in_use(), 25u);
  std::vector<std::uint64_t> again;
  for (int n = 0; n < 5; n++) again.push_back(*allocator->allocate(13));
  std::sort(again.begin(), again.end());
  EXPECT_EQ(again, tables);
}

TEST(TableAllocatorConcurrency, ThreadsNeverShareABlock) {
  auto const allocator = *TableAllocator::create(reserve);
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; t++)
    threads.emplace_back([&allocator, t] {
      std::vector<std::uint64_t> mine;
      for (int n = 0; n < 2000; n++) {
        if (mine.size() < 8) {
          mine.push_back(*allocator->allocate(11));
          std::memset(allocator->pointer(mine.back()), static_cast<int>(t + 1), 2048);
        } else {
          for (std::uint64_t const table : mine) {
            for (int i = 0; i < 2048; i += 64) ASSERT_EQ(static_cast<unsigned>(allocator->pointer(table)[i]), t + 1);
            allocator->release(table, 11);
          }
          mine.clear();
        }
      }
      for (std::uint64_t const table : mine) allocator->release(table, 11);
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(allocator->tables_in_use(), 0u);
}

}  // namespace
}  // namespace swiommu
