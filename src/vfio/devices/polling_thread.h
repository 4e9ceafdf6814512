// A thread that works when it is woken, and looks by itself while registers are mapped.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>

#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"

namespace swiommu::vfio {

// Threads: any.
class Wakeup {
 public:
  void wake() {
    Lock const lock(mutex_);
    count_++;
    woken_.notify_all();
  }
  [[nodiscard]] std::uint64_t count() const {
    Lock const lock(mutex_);
    return count_;
  }
  // Until the count is another than the one that was seen.
  void wait(std::uint64_t seen) {
    Lock const lock(mutex_);
    while (count_ == seen) woken_.wait(mutex_);
  }
  void wait_for(std::uint64_t seen, std::chrono::microseconds longest) {
    Lock const lock(mutex_);
    if (count_ == seen) woken_.wait_for(mutex_, longest);
  }

 private:
  mutable Mutex mutex_;
  std::condition_variable_any woken_;
  std::uint64_t count_ SWIOMMU_GUARDED_BY(mutex_) = 0;
};

class PollingThread {
 public:
  // `turn` does what there is to do, or a part of it, and says whether there was anything; `polls` whether there may be
  // something to do that nobody wakes for. A turn for which there is no memory is taken again.
  PollingThread(Wakeup& wakeup, std::function<bool()> turn, std::function<bool()> polls)
      : wakeup_(wakeup), turn_(std::move(turn)), polls_(std::move(polls)) {}
  ~PollingThread() { stop(); }
  PollingThread(PollingThread const&) = delete;
  PollingThread& operator=(PollingThread const&) = delete;

  // EAGAIN: the system has no threads left.
  Result<> start();
  // Returns when the thread has ended.
  void stop();
  // One turn, for who has not started the thread and takes its place.
  bool turn();

 private:
  void run();

  Wakeup& wakeup_;
  std::function<bool()> const turn_, polls_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace swiommu::vfio
