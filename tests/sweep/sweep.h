// For tests: makes a call fail at its first allocation, its second, ... until it needs no more.
#pragma once
#include <gtest/gtest.h>
#include <functional>

#include "failing_new.h"
#include "swiommu/memory/table_allocator.h"

namespace swiommu {

// `call` returns a Result<>; `unchanged` is called after each failure, with memory at hand again. Returns how many allocations
// had to fail before the call succeeded, which is what it needs; each failure must be ENOMEM.
template <class Call, class Unchanged>
unsigned sweep_new(Call call, Unchanged unchanged) {
  for (unsigned n = 0; n < 10'000; n++) {
    FailingNew failing(n);
    auto outcome = call();
    bool const failed = failing.failed();
    failing.allow();
    if (outcome) {
      EXPECT_FALSE(failed) << "allocation " << n << " failed and the call does not say so";
      return n;
    }
    EXPECT_EQ(outcome.error().code, ENOMEM) << "allocation " << n << ": " << outcome.error().message();
    EXPECT_TRUE(failed);
    if (!failed) return n;
    SCOPED_TRACE(testing::Message() << "allocation " << n << " failed");
    unchanged();
    if (testing::Test::HasFailure()) return n;
  }
  ADD_FAILURE() << "never succeeds";
  return 0;
}

// The same with the allocations of tables.
template <class Call, class Unchanged>
unsigned sweep_tables(TableAllocator& tables, Call call, Unchanged unchanged) {
  for (unsigned n = 0; n < 10'000; n++) {
    tables.fail_after(n);
    auto outcome = call();
    tables.fail_after(TableAllocator::never);
    if (outcome) return n;
    EXPECT_EQ(outcome.error().code, ENOMEM) << "table " << n << ": " << outcome.error().message();
    SCOPED_TRACE(testing::Message() << "table " << n << " failed");
    unchanged();
    if (testing::Test::HasFailure()) return n;
  }
  ADD_FAILURE() << "never succeeds";
  return 0;
}

}  // namespace swiommu
