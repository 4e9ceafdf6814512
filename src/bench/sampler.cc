#include "bench/sampler.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>

namespace swiommu::bench {

namespace {

constexpr unsigned first_loops = 200;
constexpr std::size_t fewest = 3;
constexpr std::uint64_t loop_steps = 10'000;

// Of sorted figures, between the two closest ones.
double quantile(std::vector<double> const& sorted, double part) {
  double const place = part * static_cast<double>(sorted.size() - 1);
  auto const below = static_cast<std::size_t>(place);
  std::size_t const above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - std::floor(place));
}

}  // namespace

double ThisProcessor::loop() {
  return nanoseconds([] {
    std::uint64_t word = 1;
    for (std::uint64_t step = 0; step < loop_steps; step++) {
      word = word * 6364136223846793005u + 1442695040888963407u;  // each step needs the one before
      keep(word);
    }
  });
}

std::uint64_t ThisProcessor::preemptions() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return static_cast<std::uint64_t>(usage.ru_nivcsw);
}

Sampler::Sampler(Disturbance& disturbance, Options const& options)
    : disturbance_(disturbance), options_(options), best_(disturbance.loop()) {
  for (unsigned n = 1; n < first_loops; n++) best_ = std::min(best_, disturbance_.loop());
}

bool Sampler::disturbed(double loop) {
  best_ = std::min(best_, loop);
  return loop > best_ * tolerance;
}

// The runs that find it out are the warm-up as well.
std::uint64_t Sampler::operations_of(Run const& run) const {
  std::uint64_t operations = 1;
  for (;;) {
    double const took = run.time(operations);
    double const wanted = options_.repeat_nanoseconds / std::max(took, 1.0);
    if (wanted < 2) return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(static_cast<double>(operations) * wanted));
    operations = static_cast<std::uint64_t>(static_cast<double>(operations) * std::min(wanted, 10.0));
  }
}

Sample Sampler::take(Run const& run, double items) {
  std::uint64_t const operations = operations_of(run);
  std::vector<double> good, all;
  double before = disturbance_.loop(), total = 0;
  auto const goes_on = [&] {
    if (good.size() >= options_.repeats || all.size() >= std::size_t{options_.repeats} * options_.tries) return false;
    return total < options_.most_nanoseconds || all.size() < fewest;
  };
  while (goes_on()) {
    std::uint64_t const preemptions = disturbance_.preemptions();
    double const took = run.time(operations);
    total += took;
    all.push_back(took / static_cast<double>(operations) / items);
    bool const lost = disturbance_.preemptions() != preemptions;
    double const after = disturbance_.loop();
    bool const slow_before = disturbed(before), slow_after = disturbed(after);
    if (!lost && !slow_before && !slow_after) good.push_back(all.back());
    before = after;
  }
  Sample sample;
  if (good.size() < fewest) {
    // what disturbs only ever adds time
    sample.disturbed = true;
    good = all;
    std::ranges::sort(good);
    good.resize(std::min(good.size(), fewest));
  }
  std::ranges::sort(good);
  sample.median = quantile(good, 0.5);
  sample.low = quantile(good, 0.25);
  sample.high = quantile(good, 0.75);
  sample.kept = static_cast<unsigned>(good.size());
  sample.discarded = static_cast<unsigned>(all.size() - good.size());
  return sample;
}

}  // namespace swiommu::bench
