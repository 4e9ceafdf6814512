// What came out of a run.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "bench/machine.h"
#include "bench/measurement.h"
#include "bench/sampler.h"

namespace swiommu::bench {

// A figure in parts of one of its references.
struct Ratio {
  std::string reference;  // its name
  double value = 0;
  bool operator==(Ratio const&) const = default;
};

struct Figure {
  Label label;
  Sample sample;
  std::vector<Ratio> ratios;
  std::string remark;   // may be empty
  std::string problem;  // why there is no sample; empty if there is one
  bool operator==(Figure const&) const = default;
};

struct Report {
  std::string version;  // of swiommu
  Machine machine;
  std::string command;  // the arguments, as a line
  std::vector<Figure> figures;

  // nullptr: it was not measured, or could not be.
  [[nodiscard]] Figure const* find(std::string_view name) const;
  // "600 repeats, 12 of them disturbed and discarded"
  [[nodiscard]] std::string repeats() const;
  bool operator==(Report const&) const = default;
};

}  // namespace swiommu::bench
