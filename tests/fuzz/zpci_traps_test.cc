// Instructions of hostile s390 guests as the fuzzer runs them: those that it has kept, and random ones.
#include "zpci_traps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "fuzz/inputs.h"

namespace swiommu::fuzzing {
namespace {

using conformance::effort;
using conformance::seed;

TEST(FuzzZpciTraps, WhatTheFuzzerKeptHolds) {
  OutcomeCounts counts;
  auto const files = corpus("zpci_traps");
  ASSERT_FALSE(files.empty());
  for (auto const& file : files) ASSERT_NO_THROW(run_zpci_traps(contents(file), counts)) << file;
}

TEST(FuzzZpciTraps, AnInputDoesTheSameWhateverRanBefore) {
  EXPECT_THAT(
      order_matters<OutcomeCounts>(corpus("zpci_traps"), [](auto const& bytes, auto& counts) { run_zpci_traps(bytes, counts); }),
      testing::IsEmpty());
}

TEST(FuzzZpciTraps, RandomInstructionsHoldAndMeetEveryAnswer) {
  OutcomeCounts counts;
  for (unsigned n = 0; n < effort(16000); n++)  // an eighth of that under sanitizers has to do
    ASSERT_NO_THROW(run_zpci_traps(random_bytes(seed() + n, 400), counts)) << "SWIOMMU_SEED=" << seed() + n;
  std::map<char const*, std::vector<char const*>> const expected = {
      {"MPCIFC register", {"cc 0", "cc 2", "cc 3", "again", "exception", "status 24", "status 28"}},
      {"MPCIFC reregister", {"cc 0", "cc 3", "again", "exception", "status 24", "status 28"}},
      {"MPCIFC deregister", {"cc 0", "cc 3", "status 24", "status 28"}},
      {"MPCIFC reset error", {"cc 0", "cc 3", "status 24"}},
      {"MPCIFC reset block", {"cc 0", "cc 3", "status 24"}},
      {"MPCIFC another", {"elsewhere", "exception"}},
      {"RPCIT", {"cc 0", "cc 3", "again", "status 8", "status 40"}},
      {"RPCIT compared", {"translated", "a fault"}},
      {"STPCIFC", {"cc 0", "cc 3", "status 28"}},
      {"DMA read", {"done", "not-mapped"}}};
  for (auto const& [instruction, answers] : expected)
    for (char const* const answer : answers) EXPECT_GT(counts.good(instruction, answer), 0u) << instruction << ": " << answer;
  if (HasFailure()) counts.print(stderr);
}

}  // namespace
}  // namespace swiommu::fuzzing
