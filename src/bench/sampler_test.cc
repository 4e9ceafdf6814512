#include "bench/sampler.h"

#include <gtest/gtest.h>

#include "bench/failure.h"

namespace swiommu::bench {
namespace {

// A processor with a clock of its own: the arithmetic takes 100 ns, or 200 while it is disturbed.
class FakeProcessor final : public Disturbance {
 public:
  double loop() override { return slow ? 200 : 100; }
  std::uint64_t preemptions() override { return lost; }

  bool slow = false;
  std::uint64_t lost = 0;
};

constexpr Sampler::Options options{.repeats = 5, .repeat_nanoseconds = 1000, .tries = 4};

TEST(BenchSampler, RepeatsAsManyOperationsAsFillARepeat) {
  FakeProcessor processor;
  std::vector<std::uint64_t> asked;
  bench::Run const run{[&](std::uint64_t operations) {
    asked.push_back(operations);
    return 10.0 * static_cast<double>(operations);
  }};
  Sample const sample = Sampler(processor, options).take(run, 1);
  EXPECT_EQ(sample.median, 10);
  EXPECT_EQ(sample.kept, 5u);
  ASSERT_GE(asked.size(), 5u);
  for (std::size_t n = asked.size() - 5; n < asked.size(); n++) EXPECT_EQ(asked[n], 100u);
}

TEST(BenchSampler, DoesALongOperationOnceARepeat) {
  FakeProcessor processor;
  bench::Run const run{[](std::uint64_t operations) {
    EXPECT_EQ(operations, 1u);
    return 50'000.0;
  }};
  EXPECT_EQ(Sampler(processor, options).take(run, 1).median, 50'000);
}

TEST(BenchSampler, CountsPerItem) {
  FakeProcessor processor;
  bench::Run const run{[](std::uint64_t operations) { return 800.0 * static_cast<double>(operations); }};
  EXPECT_EQ(Sampler(processor, options).take(run, 400).median, 2);
}

// Calls of a run: the first one finds out how many operations fit, the repeats follow.
constexpr unsigned first_repeat = 1;

TEST(BenchSampler, GivesTheMedianAndTheQuartiles) {
  FakeProcessor processor;
  unsigned call = 0;
  bench::Run const run{[&](std::uint64_t) { return 1000.0 + (call++ < first_repeat ? 0 : 10 * ((call * 3) % 5)); }};
  Sample const sample = Sampler(processor, options).take(run, 1);
  EXPECT_EQ(sample.median, 1020);
  EXPECT_EQ(sample.low, 1010);
  EXPECT_EQ(sample.high, 1030);
  EXPECT_DOUBLE_EQ(sample.spread(), 10.0 / 1020);
}

TEST(BenchSampler, DiscardsWhatWasMeasuredBesideASlowLoop) {
  FakeProcessor processor;
  unsigned call = 0;
  bench::Run const run{[&](std::uint64_t) {
    bool const disturbed = call >= first_repeat && call < first_repeat + 3;
    processor.slow = disturbed;
    call++;
    return disturbed ? 5000.0 : 1000.0;
  }};
  Sample const sample = Sampler(processor, options).take(run, 1);
  EXPECT_EQ(sample.median, 1000);
  EXPECT_EQ(sample.high, 1000);
  EXPECT_EQ(sample.kept, 5u);
  EXPECT_EQ(sample.discarded, 4u);  // the three, and the one that began when the processor was still slow
  EXPECT_FALSE(sample.disturbed);
}

TEST(BenchSampler, DiscardsRepeatsInWhichTheProcessorWasLost) {
  FakeProcessor processor;
  unsigned call = 0;
  bench::Run const run{[&](std::uint64_t) {
    bool const lost = call++ == first_repeat + 1;
    processor.lost += lost;
    return lost ? 9000.0 : 1000.0;
  }};
  Sample const sample = Sampler(processor, options).take(run, 1);
  EXPECT_EQ(sample.high, 1000);
  EXPECT_EQ(sample.discarded, 1u);
}

TEST(BenchSampler, RepeatsWhatTakesLongAFewTimesOnly) {
  FakeProcessor processor;
  unsigned calls = 0;
  bench::Run const run{[&](std::uint64_t) {
    calls++;
    return 5e9;
  }};
  Sample const sample = Sampler(processor, options).take(run, 1);
  EXPECT_EQ(sample.kept, 3u);
  EXPECT_EQ(calls, first_repeat + 3);
  EXPECT_FALSE(sample.disturbed);
}

TEST(BenchSampler, TakesTheFastestWhenItWasDisturbedAllTheTime) {
  FakeProcessor processor;
  unsigned calls = 0;
  bench::Run const run{[&](std::uint64_t) {
    processor.lost++;
    return 1000.0 + 10 * ((++calls * 7) % 20);  // the repeats are 1000, 1010, ... 1190, in some order
  }};
  Sample const sample = Sampler(processor, options).take(run, 1);
  EXPECT_TRUE(sample.disturbed);
  EXPECT_EQ(sample.kept, 3u);
  EXPECT_EQ(sample.discarded, 17u);
  EXPECT_EQ(sample.median, 1010);
  EXPECT_EQ(calls, first_repeat + 20);  // and gives up
}

TEST(BenchSampler, LearnsThatTheBestOfTimesIsBetterThanItWas) {
  FakeProcessor processor;
  processor.slow = true;
  Sampler sampler(processor, options);
  EXPECT_EQ(sampler.best_loop(), 200);
  processor.slow = false;
  bench::Run const run{[](std::uint64_t) { return 1000.0; }};
  EXPECT_EQ(sampler.take(run, 1).discarded, 0u);
  EXPECT_EQ(sampler.best_loop(), 100);
  processor.slow = true;
  EXPECT_TRUE(sampler.take(run, 1).disturbed);
}

TEST(BenchSampler, PassesOnWhatGoesWrong) {
  FakeProcessor processor;
  bench::Run const run{[](std::uint64_t) -> double { throw Failure("a call failed"); }};
  EXPECT_THROW(Sampler(processor, options).take(run, 1), Failure);
}

}  // namespace
}  // namespace swiommu::bench
