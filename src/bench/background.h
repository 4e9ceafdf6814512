// A thread that does something over and over while something else is measured.
#pragma once
#include <sched.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "bench/failure.h"

namespace swiommu::bench {

// Keeps the calling thread on the processor where it is, as long as this lives and there are others.
class Pinned {
 public:
  Pinned() : processor_(::sched_getcpu()) {
    if (processor_ < 0 || ::sched_getaffinity(0, sizeof before_, &before_) != 0 || CPU_COUNT(&before_) < 2) return;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<std::size_t>(processor_), &only);
    pinned_ = ::sched_setaffinity(0, sizeof only, &only) == 0;
  }
  ~Pinned() {
    if (pinned_) ::sched_setaffinity(0, sizeof before_, &before_);
  }
  Pinned(Pinned const&) = delete;
  Pinned& operator=(Pinned const&) = delete;

  // Of another thread: goes to the other processors, if there are any.
  void keep_off() const {
    if (processor_ < 0) return;
    cpu_set_t others;
    std::memset(&others, 0xff, sizeof others);
    CPU_CLR(static_cast<std::size_t>(processor_), &others);
    ::sched_setaffinity(0, sizeof others, &others);
  }

 private:
  int const processor_;
  cpu_set_t before_;
  bool pinned_ = false;
};

class Background {
 public:
  // `step` is called again and again, from before the constructor returns until the destructor, both of which are called by the
  // thread that measures. It returns false when it fails. Never on the processor of that thread: repeats in which it is shared
  // are discarded, and the others would have nothing beside them.
  explicit Background(std::function<bool()> step)
      : thread_([this, step = std::move(step)](std::stop_token const& stop) {
          measuring_.keep_off();
          while (!stop.stop_requested()) {
            if (!step()) failed_ = true;
            steps_.fetch_add(1, std::memory_order_relaxed);
            steps_.notify_one();
          }
        }) {
    steps_.wait(0);
  }
  Background(Background const&) = delete;
  Background& operator=(Background const&) = delete;

  [[nodiscard]] std::uint64_t steps() const { return steps_.load(std::memory_order_relaxed); }
  void check() const { require(!failed_, "what went on in the background failed"); }

 private:
  Pinned const measuring_;
  std::atomic<std::uint64_t> steps_ = 0;
  std::atomic<bool> failed_ = false;
  std::jthread thread_;  // last: it uses the others
};

// More threads than processors are not measured: their turns would be.
inline bool has_processors(unsigned count) { return std::thread::hardware_concurrency() >= count; }

}  // namespace swiommu::bench
