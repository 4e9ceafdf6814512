#include "bench/report.h"

#include <fmt/format.h>

#include <algorithm>

namespace swiommu::bench {

Figure const* Report::find(std::string_view name) const {
  auto const at =
      std::ranges::find_if(figures, [&](Figure const& f) { return f.problem.empty() && bench::name(f.label) == name; });
  return at == figures.end() ? nullptr : &*at;
}

std::string Report::repeats() const {
  unsigned kept = 0, discarded = 0, disturbed = 0;
  for (Figure const& figure : figures) {
    disturbed += figure.sample.disturbed;
    kept += figure.sample.kept;
    discarded += figure.sample.discarded;
  }
  auto text = fmt::format("{} repeats, {} of them disturbed and discarded", kept + discarded, discarded);
  if (disturbed > 0) text += fmt::format("; {} figures had too few others and are of their three fastest", disturbed);
  return text;
}

}  // namespace swiommu::bench
