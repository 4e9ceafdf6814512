#include "bench/measurement.h"

#include <fmt/format.h>

namespace swiommu::bench {

std::string name(Label const& label) {
  auto const text = fmt::format("{}/{}/{}", label.suite, label.chart, label.series);
  return label.axis.empty() ? text : fmt::format("{}/{}", text, label.x);
}

}  // namespace swiommu::bench
