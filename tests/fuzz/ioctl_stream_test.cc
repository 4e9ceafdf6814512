// Streams of ioctls as the fuzzer runs them: those that it has kept, and random ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fuzz/inputs.h"
#include "ioctl_runner.h"

namespace swiommu::fuzzing {
namespace {

using conformance::effort;
using conformance::seed;

TEST(FuzzIoctlStream, WhatTheFuzzerKeptHoldsAndMakesEveryCallSucceed) {
  OutcomeCounts counts;
  for (auto const& file : corpus("ioctl_stream")) ASSERT_NO_THROW(run_ioctl_stream(contents(file), counts)) << file;
  for (Shape const& shape : shapes::all) {
    if (shape.request == VFIO_IOMMU_DIRTY_PAGES) continue;  // which Linux' iommufd does not have either
    EXPECT_GT(counts.good(shape.name), 0u) << shape.name;
  }
  for (char const* const what :
       {"read", "respond", "mmap", "DMA", "page request", "bind", "attach", "replace", "attach PASID", "replace PASID"})
    EXPECT_GT(counts.good(what), 0u) << what;
  for (char const* const entry :
       {"VT-d range", "SMMUv3 CFGI_CD", "SMMUv3 CFGI_CD_ALL", "SMMUv3 TLBI_NH_ALL", "SMMUv3 TLBI_NH_ASID", "SMMUv3 TLBI_NH_VA",
        "SMMUv3 TLBI_NH_VAA", "SMMUv3 TLBI_NSNH_ALL", "SMMUv3 ATC_INV", "AMD DEVTAB_ENTRY", "AMD IOMMU_PAGES", "AMD IOTLB_PAGES",
        "AMD IOMMU_ALL", "RISC-V IOTINVAL.VMA", "RISC-V IODIR.INVAL_DDT", "RISC-V IODIR.INVAL_PDT", "zPCI range", "raw range"})
    EXPECT_GT(counts.good(entry), 0u) << entry;
  if (HasFailure()) counts.print(stderr);
}

TEST(FuzzIoctlStream, AnInputDoesTheSameWhateverRanBefore) {
  EXPECT_THAT(order_matters<OutcomeCounts>(corpus("ioctl_stream"),
                                           [](auto const& bytes, auto& counts) { run_ioctl_stream(bytes, counts); }),
              testing::IsEmpty());
}

TEST(FuzzIoctlStream, RandomStreamsHold) {
  OutcomeCounts counts;
  for (unsigned n = 0; n < effort(8000); n++)
    ASSERT_NO_THROW(run_ioctl_stream(random_bytes(seed() + n, 1500), counts)) << "SWIOMMU_SEED=" << seed() + n;
  EXPECT_GT(counts.good("DMA"), 0u);
}

}  // namespace
}  // namespace swiommu::fuzzing
