#include "swiommu/base/result.h"

#include <gtest/gtest.h>
#include <memory>

namespace swiommu {
namespace {

TEST(Result, AnErrorSaysWhatItWasAboutAndWhy) {
  EXPECT_EQ((Error{ENOENT, "area 0x1000"}).message(), "area 0x1000: No such file or directory");
}

TEST(Result, GuardedTurnsAnExhaustedHeapIntoENOMEM) {
  auto const result = guarded([]() -> Result<int> { throw std::bad_alloc(); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ENOMEM);
  EXPECT_FALSE(result.error().about.empty());
}

TEST(Result, GuardedCatchesWhatDerivesFromBadAlloc) {
  auto const result = guarded([]() -> Result<> { throw std::bad_array_new_length(); });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ENOMEM);
}

TEST(Result, GuardedPassesValuesAndErrorsThrough) {
  EXPECT_EQ(*guarded([]() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(5); }).value(), 5);
  EXPECT_EQ(guarded([]() -> Result<int> { return fail(EPERM, "no"); }).error(), (Error{EPERM, "no"}));
}

TEST(Result, TryLeavesAtTheFirstErrorAndEvaluatesOnce) {
  int calls = 0;
  auto const step = [&](int code) -> Result<> {
    ++calls;
    if (code != 0) return fail(code, "step");
    return {};
  };
  auto const steps = [&]() -> Result<int> {
    SWIOMMU_TRY(step(0));
    SWIOMMU_TRY(step(EBUSY));
    SWIOMMU_TRY(step(EPERM));
    return 1;
  };
  EXPECT_EQ(steps().error(), (Error{EBUSY, "step"}));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace swiommu
