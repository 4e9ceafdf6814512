// A report that was made up, for tests.
#pragma once
#include "bench/report.h"

namespace swiommu::bench {

inline Figure made_up(Label label, double median, double spread = 0.01) {
  Figure figure{.label = std::move(label)};
  figure.sample = {.median = median, .low = median * (1 - spread), .high = median * (1 + spread), .kept = 7, .discarded = 2};
  return figure;
}

// A curve of two points with a reference, a figure by itself, one that could not be measured.
inline Report made_up_report() {
  Report report{.version = "0.1.0",
                .machine = {.processor = "A <processor> & more",
                            .processors = 2,
                            .kernel = "Linux 6.1",
                            .compiler = "g++ 12",
                            .optimised = true,
                            .date = "2026-01-02 03:04",
                            .huge_pages_for_tables = true},
                .command = "swiommu bench --suite walk"};
  Label const curve{.suite = "walk", .chart = "leaves, independent", .series = "a<b", .axis = "pages", .x = 1, .per = "walk"};
  Label const reference{
      .suite = "reference", .chart = "flat array", .series = "independent", .axis = "pages", .x = 1, .per = "look-up"};
  for (std::uint64_t const x : {std::uint64_t{1}, std::uint64_t{4096}}) {
    Label label = reference;
    label.x = x;
    report.figures.push_back(made_up(label, 2));
    label = curve;
    label.x = x;
    report.figures.push_back(made_up(label, 7.25 * static_cast<double>(x)));
    report.figures.back().ratios = {{name(report.figures[report.figures.size() - 2].label), 3.625 * static_cast<double>(x)}};
    report.figures.back().remark = "97 % walk";
  }
  report.figures.push_back(
      made_up({.suite = "map", .chart = "ioctl", .series = "MAP", .axis = "", .x = 0, .per = "ioctl"}, 2.5e6));
  Figure problem{.label = {.suite = "map", .chart = "ioctl", .series = "UNMAP", .axis = "", .x = 0, .per = "ioctl"}};
  problem.problem = "no memory: Cannot allocate memory";
  report.figures.push_back(std::move(problem));
  return report;
}

}  // namespace swiommu::bench
