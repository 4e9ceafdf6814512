// Curves as SVG: both axes logarithmic.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace swiommu::bench {

struct Point {
  std::uint64_t x = 1;
  double nanoseconds = 0;
  double low = 0, high = 0;  // drawn as a bar
};

struct Curve {
  std::string name;
  bool reference = false;  // dashed, grey
  std::vector<Point> points;
};

// An <svg> element; its text needs no style sheet. `axis` is what x counts.
std::string plot(std::vector<Curve> const& curves, std::string const& axis);

// The text with what HTML would take for its own replaced.
std::string escaped(std::string_view text);

}  // namespace swiommu::bench
