#include "bench/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/figure_text.h"

namespace swiommu::bench {

namespace {

constexpr double width = 940, height = 380, left = 70, right = 290, top = 14, bottom = 44;
// Distinct for those who see few colours, too (Okabe and Ito).
constexpr std::array<char const*, 8> colours{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                             "#e69f00", "#56b4e9", "#000000", "#8c6d1f"};
constexpr std::array<char const*, 4> dashes{"6 4", "2 3", "9 3 2 3", "12 5"};

// Where values are drawn.
class Frame {
 public:
  explicit Frame(std::vector<Curve> const& curves) {
    for (Curve const& curve : curves)
      for (Point const& p : curve.points) {
        double const x = std::log2(static_cast<double>(std::max<std::uint64_t>(p.x, 1)));
        first_x_ = std::min(first_x_, x), last_x_ = std::max(last_x_, x);
        if (p.nanoseconds <= 0) continue;
        first_y_ = std::min(first_y_, std::log10(p.nanoseconds)), last_y_ = std::max(last_y_, std::log10(p.nanoseconds));
      }
    if (first_x_ > last_x_) first_x_ = 0, last_x_ = 1;
    if (first_y_ > last_y_) first_y_ = 0, last_y_ = 1;
    last_x_ = std::max(last_x_, first_x_ + 1);
    // to the next of 1, 2, 5
    first_y_ = std::floor(3 * (first_y_ - 0.02)) / 3;
    last_y_ = std::ceil(3 * (last_y_ + 0.02)) / 3;
  }
  [[nodiscard]] double x(std::uint64_t value) const {
    double const at = std::log2(static_cast<double>(std::max<std::uint64_t>(value, 1)));
    return left + (at - first_x_) / (last_x_ - first_x_) * (width - left - right);
  }
  [[nodiscard]] double y(double value) const {
    double const at = std::clamp(std::log10(std::max(value, 1e-6)), first_y_, last_y_);
    return height - bottom - (at - first_y_) / (last_y_ - first_y_) * (height - top - bottom);
  }
  [[nodiscard]] std::vector<double> y_marks() const {
    std::vector<double> marks;
    for (int power = static_cast<int>(std::floor(first_y_)) - 1; power <= static_cast<int>(std::ceil(last_y_)); power++)
      for (double const step : {1.0, 2.0, 5.0})
        if (double const at = power + std::log10(step); at >= first_y_ - 0.01 && at <= last_y_ + 0.01)
          marks.push_back(step * std::pow(10.0, power));
    return marks;
  }

 private:
  double first_x_ = 1e9, last_x_ = -1e9, first_y_ = 1e9, last_y_ = -1e9;
};

std::string axes(Frame const& frame, std::vector<Curve> const& curves, std::string const& axis) {
  std::string svg;
  for (double const mark : frame.y_marks())
    svg += fmt::format(
        "<line x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}' stroke='#e4e4e4'/><text x='{}' y='{:.1f}' text-anchor='end'>{}</text>\n",
        left, width - right, frame.y(mark), frame.y(mark), left - 8, frame.y(mark) + 4,
        mark < 1 ? fmt::format("{:.3g} ns", mark)
                 : fmt::format("{:.3g} {}",
                               mark >= 1e6   ? mark / 1e6
                               : mark >= 1e3 ? mark / 1e3
                                             : mark,
                               mark >= 1e6   ? "ms"
                               : mark >= 1e3 ? "µs"
                                             : "ns"));
  std::vector<std::uint64_t> xs;
  for (Curve const& curve : curves)
    for (Point const& p : curve.points) xs.push_back(p.x);
  std::ranges::sort(xs);
  xs.erase(std::ranges::unique(xs).begin(), xs.end());
  double last = -1000;
  for (std::uint64_t const x : xs) {
    svg +=
        fmt::format("<line x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}' stroke='#e4e4e4'/>\n", frame.x(x), top, height - bottom);
    if (frame.x(x) - last < 38) continue;  // no room for its text
    last = frame.x(x);
    svg += fmt::format("<text x='{:.1f}' y='{}' text-anchor='middle'>{}</text>\n", last, height - bottom + 18, count_text(x));
  }
  return svg + fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>\n", (left + width - right) / 2, height - 6,
                           escaped(axis));
}

std::string drawn(Frame const& frame, Curve const& curve, char const* colour, char const* dash) {
  std::string line, marks;
  for (Point const& p : curve.points) {
    line += fmt::format("{:.1f},{:.1f} ", frame.x(p.x), frame.y(p.nanoseconds));
    marks += fmt::format(
        "<line x1='{0:.1f}' x2='{0:.1f}' y1='{1:.1f}' y2='{2:.1f}' stroke='{3}' stroke-width='1'/>"
        "<circle cx='{0:.1f}' cy='{4:.1f}' r='3' fill='{3}'><title>{5}, {6}: {7}</title></circle>\n",
        frame.x(p.x), frame.y(p.low), frame.y(p.high), colour, frame.y(p.nanoseconds), escaped(curve.name), count_text(p.x),
        time_text(p.nanoseconds));
  }
  return fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='{}' stroke-dasharray='{}'/>\n", line, colour,
                     curve.reference ? 1.5 : 2, dash) +
         marks;
}

}  // namespace

std::string plot(std::vector<Curve> const& curves, std::string const& axis) {
  Frame const frame(curves);
  std::string svg =
      fmt::format("<svg viewBox='0 0 {} {}' width='{}' role='img' font-size='12' font-family='sans-serif' fill='#333'>\n", width,
                  height, width) +
      axes(frame, curves, axis);
  std::size_t colour = 0, dash = 0;
  double legend = top + 10;
  for (Curve const& curve : curves) {
    char const* const stroke = curve.reference ? "#888888" : colours[colour++ % colours.size()];
    char const* const pattern = curve.reference ? dashes[dash++ % dashes.size()] : "none";
    svg += drawn(frame, curve, stroke, pattern);
    svg += fmt::format(
        "<line x1='{}' x2='{}' y1='{}' y2='{}' stroke='{}' stroke-width='2' stroke-dasharray='{}'/>"
        "<text x='{}' y='{}'>{}</text>\n",
        width - right + 14, width - right + 44, legend, legend, stroke, pattern, width - right + 50, legend + 4,
        escaped(curve.name));
    legend += 19;
  }
  return svg + "</svg>\n";
}

std::string escaped(std::string_view text) {
  std::string result;
  for (char const c : text) switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '\'': result += "&#39;"; break;
      case '"': result += "&quot;"; break;
      default: result += c;
    }
  return result;
}

}  // namespace swiommu::bench
