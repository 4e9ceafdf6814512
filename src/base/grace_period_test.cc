#include "swiommu/base/grace_period.h"

#include <array>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <memory>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

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

// True as soon as `flag` is set; false after giving the processor away a thousand times. A thread that rightly waits is never
// taken for one that does not.
bool happens_soon(std::atomic<bool> const& flag) {
  for (unsigned i = 0; i < 1000 && !flag; ++i) std::this_thread::yield();
  return flag;
}

// Plain memory, so that ThreadSanitizer checks the ordering too.
struct Object {
  static constexpr std::uint64_t good = 0x600d, poison = 0xdead;
  std::array<std::uint64_t, 64> words;
  explicit Object() { words.fill(good); }
};

// Readers look at the published object again and again; the writer replaces it, waits, and poisons the old one. Returns what
// the readers saw of the poison. -DSWIOMMU_NO_GRACE_WAIT must make this nonzero.
std::uint64_t poison_seen(GracePeriod const& grace) {
  constexpr unsigned reader_count = 2, least_swaps = 2000, least_guards = 10000;
  std::array<Object, 7> objects;  // taken in turn, in no step with the yields below: a poisoned one stays so for a while
  std::atomic<Object const*> published = &objects[0];
  std::atomic<bool> stop = false;
  std::atomic<unsigned> swaps = 0;
  std::atomic<std::uint64_t> seen = 0;
  std::array<std::atomic<unsigned>, reader_count> guards{};
  std::barrier started(reader_count + 1);
  std::vector<std::unique_ptr<Epoch>> ports;
  std::vector<Epoch*> epochs;
  for (unsigned i = 0; i < reader_count; ++i) epochs.push_back(ports.emplace_back(std::make_unique<Epoch>(grace)).get());

  std::vector<std::jthread> readers;
  for (unsigned reader = 0; reader < reader_count; ++reader) {
    readers.emplace_back([&, reader, epoch = epochs[reader]] {
      started.arrive_and_wait();
      std::uint64_t bad = 0;
      for (unsigned count = 1; !stop.load(std::memory_order_relaxed); ++count) {
        epoch->enter();
        Object const& object = *published.load(std::memory_order_acquire);
        if (count % 1024 == 0) {  // stay inside until the writer has gone on, which it must not: hence the bound
          unsigned const before = swaps.load(std::memory_order_relaxed);
          for (unsigned i = 0; i < 200 && swaps.load(std::memory_order_relaxed) < before + 2; ++i) std::this_thread::yield();
        }
        for (auto const& word : object.words) bad += word != Object::good;
        epoch->leave();
        // Else give the processor away here rather than lose it inside, where the writer waits for it to come back.
        if (count % 16 == 0) std::this_thread::yield();
        guards[reader].store(count, std::memory_order_relaxed);
      }
      seen += bad;
    });
  }
  started.arrive_and_wait();
  for (unsigned i = 1; i <= least_swaps || guards[0] < least_guards || guards[1] < least_guards; ++i) {
    Object& fresh = objects[i % objects.size()];
    Object& old = objects[(i - 1) % objects.size()];
    fresh.words.fill(Object::good);
    published.store(&fresh, std::memory_order_release);
    grace.wait(epochs);
    old.words.fill(Object::poison);
    swaps.store(i, std::memory_order_relaxed);
    if (i % 16 == 0) std::this_thread::yield();  // let readers run where processors are few
  }
  stop = true;
  readers.clear();
  return seen;
}

TEST_P(GracePeriodModes, AReaderNeverSeesWhatIsPoisonedAfterTheWait) {
  EXPECT_EQ(poison_seen(grace), 0u);
}

// The same with the meeting arranged: the reader is inside when the writer comes.
TEST_P(GracePeriodModes, NothingIsPoisonedUnderAHeldGuard) {
  Epoch held(grace), idle(grace), unrelated(grace);
  Object first, second;
  std::atomic<Object const*> published = &first;
  std::atomic<bool> swapped = false, poisoned = false;
  unrelated.enter();  // not waited for
  held.enter();
  Object const& object = *published.load(std::memory_order_acquire);
  std::jthread writer([&] {
    published.store(&second, std::memory_order_release);
    swapped = true;
    Epoch* const epochs[] = {&idle, nullptr, &held};
    grace.wait(epochs);
    first.words.fill(Object::poison);
    poisoned = true;
  });
  while (!swapped) std::this_thread::yield();
  EXPECT_FALSE(happens_soon(poisoned));
  EXPECT_EQ(object.words[0], Object::good);
  held.leave();
  writer.join();
  EXPECT_EQ(first.words[0], Object::poison);
  unrelated.leave();
}

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
  EXPECT_FALSE(happens_soon(returned));
  held.leave();
  remover.join();
  EXPECT_TRUE(returned);
}

}  // namespace
}  // namespace swiommu
