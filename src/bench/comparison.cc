#include "bench/comparison.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/figure_text.h"
#include "bench/references.h"

namespace swiommu::bench {

namespace {

bool beyond(Sample const& low, Sample const& high) { return high.low > low.high && high.median > low.median * Comparison::noise; }

std::string lines(char const* heading, std::vector<Change> const& changes) {
  std::string text;
  if (!changes.empty()) text += fmt::format("{}\n", heading);
  for (Change const& change : changes)
    text += fmt::format("  {:<64} {} -> {}, {:.2f} x\n", change.name, time_text(change.before), time_text(change.after),
                        change.ratio());
  return text;
}

}  // namespace

Comparison compare(Report const& before, Report const& after) {
  Comparison comparison;
  comparison.other_machine = before.machine.processor != after.machine.processor;
  for (Figure const& now : after.figures) {
    if (now.label.suite == reference_suite) continue;
    Figure const* const then = before.find(name(now.label));
    if (then == nullptr || !now.problem.empty() || then->sample.disturbed || now.sample.disturbed) {
      comparison.not_compared++;
      continue;
    }
    Change const change{name(now.label), then->sample.median, now.sample.median};
    if (beyond(then->sample, now.sample))
      comparison.slower.push_back(change);
    else if (beyond(now.sample, then->sample))
      comparison.faster.push_back(change);
    else
      comparison.same++;
  }
  std::ranges::sort(comparison.slower, std::greater{}, &Change::ratio);
  std::ranges::sort(comparison.faster, std::less{}, &Change::ratio);
  return comparison;
}

std::string text_of(Comparison const& c) {
  std::string text;
  if (c.other_machine) text += "The other run was on another machine: compare ratios, not times.\n";
  text += lines("slower", c.slower) + lines("faster", c.faster);
  return text + fmt::format("{} slower, {} faster, {} the same within their spread, {} not to be compared\n", c.slower.size(),
                            c.faster.size(), c.same, c.not_compared);
}

}  // namespace swiommu::bench
