// What became faster or slower between two runs.
#pragma once
#include <string>
#include <vector>

#include "bench/report.h"

namespace swiommu::bench {

struct Change {
  std::string name;  // of the figure
  double before = 0, after = 0;
  [[nodiscard]] double ratio() const { return after / before; }
};

struct Comparison {
  // What differs by more than the spread of both: their quartiles do not meet, and the medians are further apart than `noise`.
  static constexpr double noise = 1.05;

  std::vector<Change> slower, faster;  // the largest change first
  std::size_t same = 0;
  std::size_t not_compared = 0;  // measured only now, or disturbed in either run
  bool other_machine = false;
};

// References are not compared: that they change says that the machine did.
Comparison compare(Report const& before, Report const& after);

std::string text_of(Comparison const& comparison);

}  // namespace swiommu::bench
