#include "bench/text_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "bench/figure_text.h"
#include "bench/references.h"

namespace swiommu::bench {

namespace {

// Columns on a terminal; µ takes two bytes and one column.
std::string right(std::string const& text, std::size_t width) {
  std::size_t columns = 0;
  for (char const c : text) columns += (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;
  return std::string(columns < width ? width - columns : 0, ' ') + text;
}

std::string line(Figure const& figure) {
  Label const& label = figure.label;
  std::string text = fmt::format("    {:<44}", label.series);
  text += right(label.axis.empty() ? "" : fmt::format("{} {}", count_text(label.x), label.axis), 14);
  if (!figure.problem.empty()) return text + fmt::format("  not measured: {}\n", figure.problem);
  text += right(time_text(figure.sample.median), 11) + fmt::format(" ±{:3.0f} %", 100 * figure.sample.spread());
  if (auto const ratios = ratios_text(figure); !ratios.empty()) text += "   " + ratios;
  if (auto const notes = notes_text(figure); !notes.empty()) text += "   (" + notes + ")";
  return text + "\n";
}

}  // namespace

std::string TextReport::lines_for(Figure const& figure) {
  Label const& label = figure.label;
  if (label.suite == reference_suite) return {};
  std::string text;
  if (label.suite != suite_) text += fmt::format("\n{}\n", label.suite);
  if (label.suite != suite_ || label.chart != chart_) text += fmt::format("  {}, per {}\n", label.chart, label.per);
  suite_ = label.suite;
  chart_ = label.chart;
  return text + line(figure);
}

std::string TextReport::beginning(Machine const& machine) {
  return fmt::format("{}, {} processors, {}, {}{}; {} UTC\nhuge pages for tables and references: {}\n", machine.processor,
                     machine.processors, machine.kernel, machine.compiler,
                     machine.optimised ? "" : ", NOT OPTIMISED: these figures say nothing", machine.date,
                     machine.huge_pages_for_tables ? "asked for" : "no");
}

std::string TextReport::ending(Report const& report) {
  std::string text, chart;
  std::vector<Figure const*> references;
  for (Figure const& figure : report.figures)
    if (figure.label.suite == reference_suite) references.push_back(&figure);
  auto const order = [](Figure const* f) { return std::tuple(f->label.chart, f->label.series, f->label.x); };
  std::ranges::sort(references, {}, order);
  if (!references.empty()) text += "\nreferences\n";
  for (Figure const* const figure : references) {
    if (figure->label.chart != chart) text += fmt::format("  {}, per {}\n", figure->label.chart, figure->label.per);
    chart = figure->label.chart;
    text += line(*figure);
  }
  return text + "\n" + report.repeats() + "\n";
}

}  // namespace swiommu::bench
