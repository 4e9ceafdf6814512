// Spoiled structures and tables of guests as the fuzzer runs them: those that it has kept, and random ones.
#include "hostile_guest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fuzz/inputs.h"

namespace swiommu::fuzzing {
namespace {

using conformance::effort;
using conformance::seed;

TEST(FuzzHostileGuest, WhatTheFuzzerKeptHolds) {
  HostileCounts counts;
  auto const files = corpus("hostile_guest");
  ASSERT_FALSE(files.empty());
  for (auto const& file : files) ASSERT_NO_THROW(run_hostile_guest(contents(file), counts)) << file;
}

TEST(FuzzHostileGuest, AnInputDoesTheSameWhateverRanBefore) {
  EXPECT_THAT(order_matters<HostileCounts>(corpus("hostile_guest"),
                                           [](auto const& bytes, auto& counts) { run_hostile_guest(bytes, counts); }),
              testing::IsEmpty());
}

TEST(FuzzHostileGuest, RandomChangesHoldAndMeetEveryKindOfEntry) {
  HostileCounts counts{.with_words = true};
  for (unsigned n = 0; n < effort(32000); n++)  // an eighth of that under sanitizers has to do
    ASSERT_NO_THROW(run_hostile_guest(random_bytes(seed() + n, 600), counts)) << "SWIOMMU_SEED=" << seed() + n;
  for (std::string const format : {"vtd-ss", "x86-64", "amd-v1", "arm-s1", "arm-s2", "riscv", "riscv-x4", "s390"})
    for (std::string const kind : {"empty", "table", "leaf", "malformed", "not in memory"}) {
      std::uint64_t met = 0;
      for (auto const& [what, count] : counts.met)
        if (what.starts_with("entry: " + format + ",") && what.ends_with(kind)) met += count;
      EXPECT_GT(met, 0u) << format << ": " << kind;
    }
  if (HasFailure()) counts.print(stderr);
}

}  // namespace
}  // namespace swiommu::fuzzing
