#include "run/descriptor_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "run/holding_pool.h"

namespace swiommu::run {
namespace {

class CountedHolding final : public Holding {
 public:
  CountedHolding(std::uint64_t id, std::atomic<int>& alive) : Holding(1, id), alive_(alive) { alive_++; }
  ~CountedHolding() override { alive_--; }
  long ioctl(int, std::uint32_t, std::uint64_t) override { return static_cast<long>(id()); }
  long read(int, void*, std::size_t, std::optional<std::uint64_t>) override { return 0; }
  long write(int, void const*, std::size_t, std::optional<std::uint64_t>) override { return 0; }
  long map(int, void*, std::size_t, int, int, std::uint64_t) override { return 0; }
  PinCounts counts(int, pid_t) override { return {}; }

 private:
  std::atomic<int>& alive_;
};

class RunDescriptorTable : public testing::Test {
 protected:
  Holding& make(std::uint64_t id) { return *HoldingPool::create<CountedHolding>(id, alive_); }

  std::atomic<int> alive_ = 0;
  std::unique_ptr<DescriptorTable> const owned_ = std::make_unique<DescriptorTable>();
  DescriptorTable& table_ = *owned_;
};

TEST_F(RunDescriptorTable, AHoldingLivesAsLongAsADescriptorOrACall) {
  Holding& holding = make(5);
  table_.put(3, holding);
  table_.put(7, holding);
  EXPECT_EQ(table_.end(), 8u);
  EXPECT_TRUE(table_.has(3) && table_.has(7) && !table_.has(4) && !table_.has(-1) && !table_.has(1 << 30));
  {
    Reference const call = table_.find(3);
    EXPECT_EQ(call.get(), &holding);
    table_.take(3);
    table_.take(7);
    EXPECT_EQ(alive_, 1);
    EXPECT_FALSE(table_.find(3));
  }
  EXPECT_EQ(alive_, 0);
}

TEST_F(RunDescriptorTable, WhatIsPutOverAnotherReplacesIt) {
  table_.put(3, make(1));
  table_.put(3, make(2));
  EXPECT_EQ(alive_, 1);
  EXPECT_EQ(table_.find(3)->id(), 2u);
  EXPECT_TRUE(table_.find_file(1, 2));
  EXPECT_FALSE(table_.find_file(1, 1));
  EXPECT_FALSE(table_.find_file(2, 2));
  table_.take(3);
}

TEST_F(RunDescriptorTable, WhatIsInternalIsNobodys) {
  table_.put_internal(9);
  EXPECT_TRUE(table_.has(9) && table_.internal(9));
  EXPECT_FALSE(table_.find(9));
  EXPECT_FALSE(table_.take(9));
  EXPECT_TRUE(table_.internal(9));
  table_.take_internal(9);
  EXPECT_FALSE(table_.has(9));
}

TEST_F(RunDescriptorTable, ADescriptorOfAFileIsFoundWhileThereIsOne) {
  table_.put(4, make(6));
  int found = -1;
  table_.with_descriptor(1, 6, [&](int descriptor) { found = descriptor; });
  EXPECT_EQ(found, 4);
  table_.take(4);
  table_.with_descriptor(1, 6, [&](int) { ADD_FAILURE(); });
}

using RunDescriptorTableConcurrency = RunDescriptorTable;

TEST_F(RunDescriptorTableConcurrency, CallsGoOnWhileOthersClose) {
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; thread++)
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 2000; round++) {
        int const own = 10 + thread, shared = 5;
        table_.put(own, make(static_cast<std::uint64_t>(own)));
        if (round % 3 == thread % 3) table_.put(shared, make(99));
        if (Reference const call = table_.find(own)) {
          EXPECT_EQ(call->ioctl(own, 0, 0), own);
        }
        if (Reference const call = table_.find(shared)) {
          EXPECT_EQ(call->ioctl(shared, 0, 0), 99);
        }
        table_.take(own);
        if (round % 5 == 0) table_.take(shared);
      }
    });
  threads.clear();
  table_.take(5);
  EXPECT_EQ(alive_, 0);
}

}  // namespace
}  // namespace swiommu::run
