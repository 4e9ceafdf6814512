#include "swiommu/base/mutex.h"

#include <gtest/gtest.h>
#include <atomic>
#include <condition_variable>
#include <thread>
#include <vector>

namespace swiommu {
namespace {

struct Counter {
  Mutex mutex;
  int value SWIOMMU_GUARDED_BY(mutex) = 0;
  std::condition_variable_any changed;

  void add() {
    Lock lock(mutex);
    ++value;
    changed.notify_all();
  }
  void wait_for(int wanted) {
    Lock lock(mutex);
    while (value < wanted) changed.wait(mutex);
  }
};

TEST(Mutex, OneThreadAtATimeAndConditionsCanBeWaitedFor) {
  Counter counter;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) counter.add();
    });
  }
  counter.wait_for(4000);
  Lock lock(counter.mutex);
  EXPECT_EQ(counter.value, 4000);
}

TEST(Mutex, ReadersShareAndKeepWritersOut) {
  SharedMutex mutex;
  int value = 0;
  std::atomic<bool> started = false;
  std::jthread writer;
  {
    SharedLock reading(mutex);
    std::jthread([&] {
      SharedLock too(mutex);  // would wait for ever if readers did not share
      EXPECT_EQ(value, 0);
    }).join();
    writer = std::jthread([&] {
      started = true;
      Lock alone(mutex);
      value = 1;
    });
    while (!started) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) {
      ASSERT_EQ(value, 0);
      std::this_thread::yield();
    }
  }
  writer.join();
  Lock alone(mutex);
  EXPECT_EQ(value, 1);
}

}  // namespace
}  // namespace swiommu
