// Measures one thing after the other, each of its references once before it.
#pragma once
#include <functional>
#include <map>
#include <vector>

#include "bench/report.h"
#include "bench/sampler.h"

namespace swiommu::bench {

class Session {
 public:
  // `starts` is called before each measurement, `ends` after it.
  struct Listener {
    std::function<void(Label const&)> starts = [](Label const&) {};
    std::function<void(Figure const&)> ends = [](Figure const&) {};
  };
  Session(Sampler& sampler, Listener listener) : sampler_(sampler), listener_(std::move(listener)) {}

  // What cannot be measured is a figure with a problem.
  void run(std::vector<Measurement> const& measurements);

  [[nodiscard]] std::vector<Figure> const& figures() const { return figures_; }

 private:
  Figure const& measure(Measurement const& measurement);

  Sampler& sampler_;
  Listener const listener_;
  std::vector<Figure> figures_;
  std::map<std::string, std::size_t> measured_;  // where in figures_
};

// How many that are, references included.
std::size_t count_of(std::vector<Measurement> const& measurements);

}  // namespace swiommu::bench
