// Built with a library that does not wait: what GracePeriod's own tests must never see is seen here.
#include <gtest/gtest.h>

#include "base/poison.h"

namespace swiommu {
namespace {

TEST(GracePeriodWithoutTheWait, AReaderSeesWhatIsPoisoned) {
  EXPECT_GT(poison::words_seen(GracePeriod::create().value()), 0u);
  EXPECT_GT(poison::words_seen(GracePeriod::with_exchanges()), 0u);
}

TEST(GracePeriodWithoutTheWait, SoDoesOneThatHasBeenResting) {
  EXPECT_GT(poison::words_seen(GracePeriod::create().value(), {.rest = true}), 0u);
  EXPECT_GT(poison::words_seen(GracePeriod::with_exchanges(), {.rest = true}), 0u);
}

TEST(GracePeriodWithoutTheWait, ObjectsArePoisonedUnderAHeldGuard) {
  EXPECT_TRUE(poison::poisoned_under_a_held_guard(GracePeriod::create().value()));
  EXPECT_TRUE(poison::poisoned_under_a_held_guard(GracePeriod::with_exchanges()));
}

}  // namespace
}  // namespace swiommu
