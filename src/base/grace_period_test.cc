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
#include <csignal>
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
bool forbid_membarrier(unsigned action = SECCOMP_RET_ERRNO | EPERM) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{std::size(filter), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_P(GracePeriodModes, AReaderNeverSeesWhatIsPoisonedAfterTheWait) { EXPECT_EQ(poison::words_seen(grace), 0u); }

TEST_P(GracePeriodModes, NeitherDoesOneThatHasBeenResting) { EXPECT_EQ(poison::words_seen(grace, {.rest = true}), 0u); }

TEST_P(GracePeriodModes, NorOneWithManyGuardsBetweenWaits) { EXPECT_EQ(poison::words_seen(grace, {.far_apart = true}), 0u); }

TEST_P(GracePeriodModes, NorWhereSeveralWriteAndWait) {
  EXPECT_EQ(poison::words_seen(grace, {.writers = 2}), 0u);
  EXPECT_EQ(poison::words_seen(grace, {.rest = true, .writers = 2}), 0u);
}

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

TEST(GracePeriod, AnEpochHasItsCacheLinesForItself) {
  EXPECT_EQ(alignof(Epoch), 64u);
  EXPECT_EQ(sizeof(Epoch) % 64, 0u);
}

// What a child does that is killed by its next membarrier: 0, or the signal that killed it.
int signal_of_child_without_membarrier(auto const& work) {
  pid_t const child = fork();
  if (child == 0) {
    if (!forbid_membarrier(SECCOMP_RET_KILL_PROCESS)) _exit(1);
    work();
    _exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(GracePeriod, CallsNoMembarrierForPortsWithFewGuardsBetweenWaits) {
  auto const grace = created();
  if (!grace.uses_membarrier()) GTEST_SKIP() << "there is none to be called";
  Epoch first(grace), second(grace);
  Epoch* const epochs[] = {&first, nullptr, &second, &second};
  auto const wait = [&] { grace.wait(epochs); };
  auto const use = [&](unsigned guards) {
    for (unsigned n = 0; n < guards; n++) second.enter(), second.leave();
  };
  constexpr unsigned few = Epoch::few_guards;
  auto const calls_it = [&](auto const& work) { return signal_of_child_without_membarrier(work) == SIGSYS; };
  EXPECT_TRUE(calls_it(wait)) << "nothing is known of them yet";
  wait();
  EXPECT_FALSE(calls_it([&] { wait(), wait(); }));
  EXPECT_FALSE(calls_it([&] { use(few - 1), wait(), use(few - 1), wait(), use(few - 1), wait(); }));
  EXPECT_TRUE(calls_it([&] { use(few + 1), wait(); })) << "more guards are cheaper without ordering each";
  use(few + 1);
  EXPECT_EQ(signal_of_child_without_membarrier([&] { use(few); }), 0);
  use(few);
  wait();
  EXPECT_TRUE(calls_it(wait)) << "it was in use between the last two waits";
  use(few - 1);
  wait();
  EXPECT_FALSE(calls_it([&] { use(few - 1), wait(), use(1), wait(); }));
}

TEST(GracePeriod, PaysForOneMembarrierWhereAPortNeedsIt) {
  auto const grace = created();
  if (!grace.uses_membarrier()) GTEST_SKIP() << "there is none to be called";
  Epoch quiet(grace), busy(grace);
  Epoch* const one[] = {&quiet};
  Epoch* const both[] = {&quiet, &busy};
  for (unsigned n = 0; n <= Epoch::few_guards; n++) busy.enter(), busy.leave();
  grace.wait(both);
  EXPECT_EQ(signal_of_child_without_membarrier([&] { grace.wait(one); }), SIGSYS)
      << "its guards would have ordered themselves for nothing";
}

TEST(GracePeriod, WaitsForAGuardThatOrdersItself) {
  auto const grace = created();
  Epoch port(grace);
  Epoch* const epochs[] = {&port};
  grace.wait(epochs);
  port.enter();
  std::atomic<bool> returned = false;
  std::jthread remover([&] {
    grace.wait(epochs);
    returned = true;
  });
  EXPECT_FALSE(poison::happens_soon(returned));
  port.leave();
  remover.join();
  EXPECT_TRUE(returned);
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
