#include "swiommu/base/grace_period.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <thread>

#include "base/poison.h"

namespace swiommu {
namespace {

GracePeriod created() { return GracePeriod::create().value(); }

struct GracePeriodModes : testing::TestWithParam<GracePeriod (*)()> {
  GracePeriod grace = GetParam()();
};
INSTANTIATE_TEST_SUITE_P(GracePeriod, GracePeriodModes, testing::Values(&created, &GracePeriod::with_exchanges),
                         [](auto const& mode) { return mode.index == 0 ? "membarrier" : "exchanges"; });

// Refuses membarrier to the calling thread for the rest of its life, as a sandbox would.
bool forbid_membarrier() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{std::size(filter), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_P(GracePeriodModes, AReaderNeverSeesWhatIsPoisonedAfterTheWait) { EXPECT_EQ(poison::words_seen(grace), 0u); }

TEST_P(GracePeriodModes, NothingIsPoisonedUnderAHeldGuard) { EXPECT_FALSE(poison::poisoned_under_a_held_guard(grace)); }

TEST_P(GracePeriodModes, APortThatIsNeverSeenIdleDoesNotStarveTheWaiter) {
  Epoch busy(grace);
  busy.enter();
  std::atomic<bool> returned = false;
  std::jthread remover([&] {
    Epoch* const epochs[] = {&busy};
    grace.wait(epochs);
    returned = true;
  });
  while (!returned) {
    busy.leave();
    busy.enter();
    std::this_thread::yield();  // inside: the waiter mostly sees guards, each time another
  }
  busy.leave();
}

TEST_P(GracePeriodModes, ReturnsAtOnceWhenNoGuardIsHeld) {
  Epoch idle(grace);
  Epoch* const epochs[] = {&idle};
  grace.wait({});
  grace.wait(epochs);
  EXPECT_FALSE(idle.active());
}

TEST_P(GracePeriodModes, AThreadKnowsTheGuardsItHolds) {
  Epoch first(grace), second(grace);
  EXPECT_EQ(guards_held(), 0u);
  first.enter();
  second.enter();
  EXPECT_EQ(guards_held(), 2u);
  EXPECT_TRUE(first.active());
  std::jthread([] { EXPECT_EQ(guards_held(), 0u); }).join();
  first.leave();
  EXPECT_EQ(guards_held(), 1u);
  EXPECT_FALSE(first.active());
  second.leave();
  EXPECT_EQ(guards_held(), 0u);
}

TEST(GracePeriod, AnEpochHasItsCacheLineForItself) {
  EXPECT_EQ(alignof(Epoch), 64u);
  EXPECT_EQ(sizeof(Epoch), 64u);
}

TEST(GracePeriod, FallsBackToExchangesWhereMembarrierIsRefused) {
  std::jthread([] {
    ASSERT_TRUE(forbid_membarrier());
    errno = 0;
    auto const grace = GracePeriod::create();
    ASSERT_TRUE(grace);
    EXPECT_EQ(errno, 0);
    EXPECT_FALSE(grace->uses_membarrier());
  }).join();
}

TEST(GracePeriod, CoversAForkedChild) {
  auto const grace = created();
  pid_t const child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Epoch idle(grace);
    Epoch* const epochs[] = {&idle};
    grace.wait(epochs);
    _exit(!grace.uses_membarrier() || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(GracePeriod, StillWaitsWhenMembarrierIsTakenAway) {
  auto const grace = created();
  Epoch held(grace);
  held.enter();
  std::atomic<bool> waiting = false, returned = false;
  std::jthread remover([&] {
    EXPECT_TRUE(forbid_membarrier());
    Epoch* const epochs[] = {&held};
    waiting = true;
    errno = 0;
    grace.wait(epochs);
    EXPECT_EQ(errno, 0);
    returned = true;
  });
  while (!waiting) std::this_thread::yield();
  EXPECT_FALSE(poison::happens_soon(returned));
  held.leave();
  remover.join();
  EXPECT_TRUE(returned);
}

}  // namespace
}  // namespace swiommu
