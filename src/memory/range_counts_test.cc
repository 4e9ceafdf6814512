#include "swiommu/memory/range_counts.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace swiommu {
namespace {

std::vector<Range> gaps(RangeCounts const& counts, Range range) {
  std::vector<Range> found;
  EXPECT_TRUE(counts.for_each_gap(range, [&](Range gap) -> Result<> {
    found.push_back(gap);
    return {};
  }));
  return found;
}

std::vector<Range> removed(RangeCounts& counts, Range range) {
  std::vector<Range> found;
  counts.remove(range, [&](Range gone) { found.push_back(gone); });
  return found;
}

TEST(RangeCounts, UncoversOnlyWhatTheLastRangeLeaves) {
  RangeCounts counts;
  ASSERT_TRUE(counts.add({0, 9}));
  ASSERT_TRUE(counts.add({5, 14}));
  ASSERT_TRUE(counts.add({20, 29}));
  EXPECT_EQ(gaps(counts, {3, 40}), (std::vector<Range>{{15, 19}, {30, 40}}));
  EXPECT_EQ(removed(counts, {0, 9}), (std::vector<Range>{{0, 4}}));
  EXPECT_EQ(removed(counts, {5, 14}), (std::vector<Range>{{5, 14}}));
  EXPECT_EQ(removed(counts, {20, 29}), (std::vector<Range>{{20, 29}}));
  EXPECT_TRUE(counts.empty());
}

TEST(RangeCounts, WorksUpToTheTop) {
  RangeCounts counts;
  std::uint64_t const top = Range::all().last;
  ASSERT_TRUE(counts.add(Range::all()));
  ASSERT_TRUE(counts.add({top, top}));
  EXPECT_EQ(gaps(counts, Range::all()), std::vector<Range>{});
  EXPECT_EQ(counts.last_of_run(0), top - 1);
  EXPECT_EQ(removed(counts, Range::all()), (std::vector<Range>{{0, top - 1}}));
  EXPECT_EQ(gaps(counts, Range::all()), (std::vector<Range>{{0, top - 1}}));
  EXPECT_EQ(removed(counts, {top, top}), (std::vector<Range>{{top, top}}));
}

TEST(RangeCounts, ForgetsEndsThatNoRangeHas) {
  RangeCounts counts;
  ASSERT_TRUE(counts.add({0, 1'000'000}));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(counts.add({i * 10 + 3, i * 10 + 6}));
    counts.remove({i * 10 + 3, i * 10 + 6});
  }
  EXPECT_EQ(counts.runs(), 1u);
}

TEST(RangeCounts, StopsAtAGapThatFails) {
  RangeCounts counts;
  ASSERT_TRUE(counts.add({10, 19}));
  int calls = 0;
  auto const result = counts.for_each_gap({0, 29}, [&](Range) -> Result<> { return ++calls, fail(EFAULT, "no"); });
  EXPECT_EQ(result.error().code, EFAULT);
  EXPECT_EQ(calls, 1);
}

TEST(RangeCounts, AgreesWithCountingEachNumber) {
  constexpr std::uint64_t size = 64;
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    RangeCounts counts;
    std::array<int, size> model{};
    std::vector<Range> ranges;
    for (int step = 0; step < 200; ++step) {
      if (ranges.empty() || random() % 5 < 3) {
        std::uint64_t const a = random() % size, b = random() % size;
        Range const range{std::min(a, b), std::max(a, b)};
        ASSERT_TRUE(counts.add(range));
        for (std::uint64_t i = range.start; i <= range.last; ++i) ++model[i];
        ranges.push_back(range);
      } else {
        std::swap(ranges[random() % ranges.size()], ranges.back());
        std::array<bool, size> gone{};
        for (Range const part : removed(counts, ranges.back()))
          for (std::uint64_t i = part.start; i <= part.last; ++i) gone[i] = true;
        for (std::uint64_t i = 0; i < size; ++i) {
          bool const inside = ranges.back().contains(i);
          model[i] -= inside;
          ASSERT_EQ(gone[i], inside && model[i] == 0);
        }
        ranges.pop_back();
      }
      std::array<bool, size> open{};
      for (Range const gap : gaps(counts, {0, size - 1}))
        for (std::uint64_t i = gap.start; i <= gap.last; ++i) open[i] = true;
      for (std::uint64_t i = 0; i < size; ++i) {
        ASSERT_EQ(open[i], model[i] == 0);
        ASSERT_EQ(counts.overlaps({i, i}), model[i] != 0);
        auto const last = counts.last_of_run(i);
        ASSERT_EQ(last.has_value(), model[i] != 0);
        for (std::uint64_t j = i; last && j <= *last; ++j) ASSERT_EQ(model[j], model[i]);
      }
      ASSERT_LE(counts.runs(), 2 * ranges.size());
    }
  }
}

}  // namespace
}  // namespace swiommu
