#include "bench/report.h"

#include <algorithm>

namespace swiommu::bench {

Figure const* Report::find(std::string_view name) const {
  auto const at =
      std::ranges::find_if(figures, [&](Figure const& f) { return f.problem.empty() && bench::name(f.label) == name; });
  return at == figures.end() ? nullptr : &*at;
}

}  // namespace swiommu::bench
