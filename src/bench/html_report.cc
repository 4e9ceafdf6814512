#include "bench/html_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/figure_text.h"
#include "bench/plot.h"
#include "bench/references.h"
#include "bench/text_report.h"

namespace swiommu::bench {

namespace {

constexpr char const* head = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>swiommu bench</title>
<style>
body { font: 15px/1.5 sans-serif; color: #222; background: #fff; max-width: 940px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { margin-top: 2em; border-bottom: 1px solid #ddd; } h3 { margin-bottom: .3em; }
table { border-collapse: collapse; font-size: 13px; margin: .5em 0; }
th, td { text-align: left; padding: 2px 12px 2px 0; border-bottom: 1px solid #eee; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; }
.met { color: #00704a; } .missed { color: #b02a00; } .faint { color: #777; }
svg { max-width: 100%; height: auto; } summary { cursor: pointer; color: #555; }
</style>
</head>
<body>
)";

using Figures = std::vector<Figure const*>;

// The curve with this name, made if there is none.
Curve& curve_of(std::vector<Curve>& curves, std::string const& name, bool reference) {
  auto const at = std::ranges::find_if(curves, [&](Curve const& c) { return c.name == name && c.reference == reference; });
  if (at != curves.end()) return *at;
  return curves.emplace_back(Curve{.name = name, .reference = reference, .points = {}});
}

std::vector<Curve> curves_of(Figures const& figures, Report const& report) {
  std::vector<Curve> curves, references;
  auto const add = [](Curve& curve, std::uint64_t x, Sample const& s) {
    if (std::ranges::none_of(curve.points, [&](Point const& p) { return p.x == x; }))
      curve.points.push_back({x, s.median, s.low, s.high});
  };
  for (Figure const* const f : figures) {
    if (!f->problem.empty()) continue;
    add(curve_of(curves, f->label.series, false), f->label.x, f->sample);
    for (Ratio const& ratio : f->ratios)
      if (Figure const* const reference = report.find(ratio.reference);
          reference != nullptr && reference->label.suite == reference_suite)
        add(curve_of(references, reference_text(ratio.reference), true), f->label.x, reference->sample);
  }
  curves.insert(curves.end(), references.begin(), references.end());
  for (Curve& curve : curves) std::ranges::sort(curve.points, {}, &Point::x);
  return curves;
}

std::string table_of(Figures const& figures) {
  std::string html =
      "<table>\n<tr><th>series</th><th></th><th>median</th><th>spread</th><th>beside references</th><th></th></tr>\n";
  for (Figure const* const f : figures) {
    html += fmt::format("<tr><td>{}</td><td class=\"number\">{}</td>", escaped(f->label.series),
                        f->label.axis.empty() ? "" : escaped(fmt::format("{} {}", count_text(f->label.x), f->label.axis)));
    if (f->problem.empty())
      html += fmt::format(
          "<td class=\"number\">{}</td><td class=\"number\">±{:.0f} %</td><td>{}</td><td class=\"faint\">{}</td></tr>\n",
          time_text(f->sample.median), 100 * f->sample.spread(), escaped(ratios_text(*f)), escaped(notes_text(*f)));
    else
      html += fmt::format("<td colspan=\"4\">not measured: {}</td></tr>\n", escaped(f->problem));
  }
  return html + "</table>\n";
}

std::string chart(Figures const& figures, Report const& report) {
  Label const& label = figures.front()->label;
  std::string html = fmt::format("<h3>{}, per {}</h3>\n", escaped(label.chart), escaped(label.per));
  bool const curve = std::ranges::any_of(figures, [&](Figure const* f) { return f->label.x != label.x; });
  if (!curve) return html + table_of(figures);
  return html + plot(curves_of(figures, report), label.axis) + "<details><summary>figures</summary>\n" + table_of(figures) +
         "</details>\n";
}

std::string budget_table(std::vector<BudgetRow> const& rows) {
  std::string html =
      "<table>\n<tr><th>operation</th><th>measured</th><th>target</th><th></th><th>best existing software</th></tr>\n";
  for (BudgetRow const& row : rows) {
    BudgetText const text = words_of(row);
    html += fmt::format(
        "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"{}\">{}</td><td>{}</td></tr>\n",
        escaped(row.target.operation), escaped(text.measured), escaped(text.limit),
        row.figure == nullptr ? "faint"
        : row.met()           ? "met"
                              : "missed",
        escaped(text.verdict), escaped(row.target.peers));
  }
  return html + "</table>\n";
}

}  // namespace

std::string to_html(Report const& report, std::vector<BudgetRow> const& rows) {
  std::string html = head;
  html += fmt::format("<h1>swiommu {}: what it costs</h1>\n<p>{}<br>{}<br><code>{}</code></p>\n", escaped(report.version),
                      escaped(TextReport::beginning(report.machine)), report.repeats(), escaped(report.command));
  html +=
      "<p>Each figure is the median of repeats that nothing disturbed; bars and spread reach to the quartiles. Dashed curves "
      "are\n"
      "references, measured in the same run: what looking up, chasing pointers or copying so much memory costs by itself.</p>\n";
  html += "<h2>Targets</h2>\n" + budget_table(rows);
  // charts in the order of their first figures
  std::vector<Figures> charts;
  for (Figure const& figure : report.figures) {
    if (figure.label.suite == reference_suite) continue;
    auto const at = std::ranges::find_if(charts, [&](Figures const& c) {
      return c.front()->label.suite == figure.label.suite && c.front()->label.chart == figure.label.chart;
    });
    if (at != charts.end())
      at->push_back(&figure);
    else
      charts.push_back({&figure});
  }
  std::string suite;
  for (Figures const& figures : charts) {
    if (figures.front()->label.suite != suite)
      html += fmt::format("<h2>{}</h2>\n", escaped(suite = figures.front()->label.suite));
    html += chart(figures, report);
  }
  return html + "</body>\n</html>\n";
}

}  // namespace swiommu::bench
