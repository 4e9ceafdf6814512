// A thread that does something over and over while something else is measured.
#pragma once
#include <atomic>
#include <functional>
#include <thread>

#include "bench/failure.h"

namespace swiommu::bench {

class Background {
 public:
  // `step` is called again and again, from before the constructor returns until the destructor. It returns false when it fails.
  explicit Background(std::function<bool()> step)
      : thread_([this, step = std::move(step)](std::stop_token const& stop) {
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
  std::atomic<std::uint64_t> steps_ = 0;
  std::atomic<bool> failed_ = false;
  std::jthread thread_;  // last: it uses the others
};

// More threads than processors are not measured: their turns would be.
inline bool has_processors(unsigned count) { return std::thread::hardware_concurrency() >= count; }

}  // namespace swiommu::bench
