// NVMe controllers with hostile guests as the fuzzer runs them: inputs that it has kept, and random ones.
#include "nvme_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "fuzz/inputs.h"

namespace swiommu::fuzzing {
namespace {

using conformance::effort;
using conformance::seed;

TEST(FuzzNvmeDevice, WhatTheFuzzerKeptHolds) {
  OutcomeCounts counts;
  auto const files = corpus("nvme_device");
  ASSERT_FALSE(files.empty());
  for (auto const& file : files) ASSERT_NO_THROW(run_nvme_device(contents(file), counts)) << file;
}

TEST(FuzzNvmeDevice, AnInputDoesTheSameWhateverRanBefore) {
  EXPECT_THAT(order_matters<OutcomeCounts>(corpus("nvme_device"),
                                           [](auto const& bytes, auto& counts) { run_nvme_device(bytes, counts); }),
              testing::IsEmpty());
}

TEST(FuzzNvmeDevice, RandomGuestsHoldAndMeetEveryOutcome) {
  OutcomeCounts counts;
  for (unsigned n = 0; n < effort(3000); n++)  // an eighth of that under sanitizers has to do
    ASSERT_NO_THROW(run_nvme_device(random_bytes(seed() + n, 1000), counts)) << "SWIOMMU_SEED=" << seed() + n;
  constexpr auto* invalid_list = "invalid SGL segment";
  std::map<char const*, std::vector<char const*>> const expected = {
      {"create submission queue", {"success", "invalid queue identifier", "invalid completion queue"}},
      {"create completion queue", {"success", "invalid queue identifier"}},
      {"delete submission queue", {"success", "invalid queue identifier"}},
      {"delete completion queue", {"invalid queue identifier", "invalid queue deletion"}},
      {"identify", {"success", "invalid namespace", "invalid PRP offset"}},
      {"get log page", {"success", "invalid log page", "invalid field", "invalid PRP offset"}},
      {"get features", {"success", "invalid field"}},
      {"set features", {"success", "invalid field"}},
      {"abort", {"success", "invalid field"}},
      {"event request", {"waits", "event", "abort requested"}},
      {"another admin command", {"invalid opcode"}},
      {"read", {"success", "data transfer error", "LBA out of range", "invalid PRP offset", "invalid SGL length", invalid_list}},
      {"write", {"success", "data transfer error", "write protected", "invalid PRP offset", "invalid SGL length", invalid_list}},
      {"compare", {"success", "compare failure", "invalid SGL length"}},
      {"write zeroes", {"success", "LBA out of range", "write protected"}},
      {"dataset management", {"success", "LBA out of range", "write protected", "invalid PRP offset"}},
      {"verify", {"success", "LBA out of range"}},
      {"flush", {"success", "invalid namespace"}},
      {"another NVM command", {"invalid opcode"}},
      {"completion", {"fault"}},
      {"interrupt", {"message", "line"}},
      {"controller", {"ready", "stopped", "reset", "fatal"}},
      {"doorbell", {"rung"}},
      {"mapping", {"changed"}},
      {"register", {"read", "written", "written through a mapping"}}};
  for (auto const& [what, outcomes] : expected)
    for (char const* const outcome : outcomes) EXPECT_GT(counts.good(what, outcome), 0u) << what << ": " << outcome;
  if (HasFailure()) counts.print(stderr);
}

}  // namespace
}  // namespace swiommu::fuzzing
