// The report for a terminal, line by line as figures come.
#pragma once
#include <string>

#include "bench/report.h"

namespace swiommu::bench {

// Lines to print for each figure; references are left for the end.
class TextReport {
 public:
  // With the headings that have changed since the last one.
  std::string lines_for(Figure const& figure);
  // The references, and how many repeats were disturbed.
  [[nodiscard]] static std::string ending(Report const& report);
  // What it was measured on.
  [[nodiscard]] static std::string beginning(Machine const& machine);

 private:
  std::string suite_, chart_;
};

}  // namespace swiommu::bench
