// I/OAT engines with hostile guests as the fuzzer runs them: inputs that it has kept, and random ones.
#include "ioat_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "fuzz/inputs.h"

namespace swiommu::fuzzing {
namespace {

using conformance::effort;
using conformance::seed;

TEST(FuzzIoatDevice, WhatTheFuzzerKeptHolds) {
  OutcomeCounts counts;
  auto const files = corpus("ioat_device");
  ASSERT_FALSE(files.empty());
  for (auto const& file : files) ASSERT_NO_THROW(run_ioat_device(contents(file), counts)) << file;
}

TEST(FuzzIoatDevice, AnInputDoesTheSameWhateverRanBefore) {
  EXPECT_THAT(order_matters<OutcomeCounts>(corpus("ioat_device"),
                                           [](auto const& bytes, auto& counts) { run_ioat_device(bytes, counts); }),
              testing::IsEmpty());
}

TEST(FuzzIoatDevice, RandomGuestsHoldAndMeetEveryOutcome) {
  OutcomeCounts counts;
  for (unsigned n = 0; n < effort(3000); n++)  // an eighth of that under sanitizers has to do
    ASSERT_NO_THROW(run_ioat_device(random_bytes(seed() + n, 1000), counts)) << "SWIOMMU_SEED=" << seed() + n;
  std::map<char const*, std::vector<char const*>> const expected = {
      {"descriptor",
       {"done", "length", "read data", "write data", "control", "source address", "destination address", "completion address"}},
      {"completion write", {"done", "halted"}},
      {"channel",
       {"active", "done", "suspended", "halted", "armed", "reset", "error: chain address", "error: next address",
        "error: next alignment"}},
      {"engine", {"reset"}},
      {"interrupt", {"message", "line"}},
      {"mapping", {"changed"}},
      {"register", {"read", "written", "written through a mapping"}}};
  for (auto const& [what, outcomes] : expected)
    for (char const* const outcome : outcomes) EXPECT_GT(counts.good(what, outcome), 0u) << what << ": " << outcome;
  if (HasFailure()) counts.print(stderr);
}

}  // namespace
}  // namespace swiommu::fuzzing
