// Repeats a run until there are enough figures that nothing disturbed.
//
// Hosts take parts of a processor away without telling, so a fixed piece of arithmetic is timed between repeats: where it takes
// longer than at the best of times, what was measured beside it is discarded, and counted. So are repeats in which the system
// gave the processor to somebody else.
#pragma once
#include <cstdint>
#include <vector>

#include "bench/measurement.h"

namespace swiommu::bench {

// What tells that the processor was not ours alone.
class Disturbance {
 public:
  virtual ~Disturbance() = default;
  // Nanoseconds that a fixed piece of arithmetic takes now.
  virtual double loop() = 0;
  // How often this thread lost the processor, so far.
  virtual std::uint64_t preemptions() = 0;
};

// Of this machine, for the calling thread.
class ThisProcessor final : public Disturbance {
 public:
  double loop() override;
  std::uint64_t preemptions() override;
};

// Of one item, in nanoseconds.
struct Sample {
  double median = 0;
  double low = 0, high = 0;  // the quartiles
  unsigned kept = 0;         // repeats behind these figures
  unsigned discarded = 0;    // disturbed ones
  bool disturbed = false;    // too few undisturbed ones: the figures are of the three fastest

  // Half of the distance of the quartiles, in parts of the median.
  [[nodiscard]] double spread() const { return median == 0 ? 0 : (high - low) / 2 / median; }
  bool operator==(Sample const&) const = default;
};

class Sampler {
 public:
  struct Options {
    unsigned repeats = 15;
    double repeat_nanoseconds = 2e6;  // how long a repeat should take, if operations are short
    unsigned tries = 4;               // so many times `repeats` at most
    double most_nanoseconds = 2e9;    // of all repeats: longer ones are fewer, but never less than three
  };
  // The arithmetic may take so much longer than at the best of times.
  static constexpr double tolerance = 1.15;

  Sampler(Disturbance& disturbance, Options const& options);

  // Figures of one item; an operation has `items`. What `run` throws is passed on.
  Sample take(Run const& run, double items);

  // The best of times.
  [[nodiscard]] double best_loop() const { return best_; }

 private:
  [[nodiscard]] bool disturbed(double loop);
  [[nodiscard]] std::uint64_t operations_of(Run const& run) const;

  Disturbance& disturbance_;
  Options const options_;
  double best_;
};

}  // namespace swiommu::bench
