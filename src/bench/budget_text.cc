#include <fmt/format.h>

#include <algorithm>

#include "bench/budget.h"
#include "bench/figure_text.h"
#include "bench/text_report.h"

namespace swiommu::bench {

namespace {

std::string value_text(Target const& target, double value) {
  switch (target.of) {
    case Target::Of::time: return time_text(value);
    case Target::Of::ratio: return fmt::format("{:.2f} x", value);
    case Target::Of::loss: return fmt::format("{:.1f} %", value);
  }
  return {};
}

std::string limit_text(Target const& target) {
  switch (target.of) {
    case Target::Of::time: return fmt::format("≤ {}", time_text(target.limit));
    case Target::Of::ratio: return fmt::format("≤ {} x", target.limit);
    case Target::Of::loss: return fmt::format("≤ {} %", target.limit);
  }
  return {};
}

std::string measured_text(BudgetRow const& row) {
  if (row.figure == nullptr) return "not measured";
  std::string const value = value_text(row.target, row.value);
  return row.target.of == Target::Of::time ? value : fmt::format("{} ({})", value, time_text(row.figure->sample.median));
}

std::string verdict(BudgetRow const& row) {
  if (row.figure == nullptr) return "-";
  return row.met() ? "met" : fmt::format("missed: {:.3g} x of it", row.value / row.target.limit);
}

std::string spread_text(Sample const& sample) {
  return fmt::format("±{:.0f} %{}", 100 * sample.spread(), sample.disturbed ? ", disturbed" : "");
}

// Columns of text that are aligned; some letters take more bytes than columns.
std::string left(std::string text, std::size_t width) {
  auto const columns =
      static_cast<std::size_t>(std::ranges::count_if(text, [](unsigned char c) { return (c & 0xc0u) != 0x80u; }));
  if (columns < width) text.append(width - columns, ' ');
  return text;
}

}  // namespace

BudgetText words_of(BudgetRow const& row) { return {measured_text(row), limit_text(row.target), verdict(row)}; }

std::string text_of(std::vector<BudgetRow> const& rows) {
  std::string text = fmt::format("\n{}{}{}\n", left("operation", 66), left("measured", 22), left("target", 13));
  std::size_t met = 0, measured = 0;
  for (BudgetRow const& row : rows) {
    text +=
        left(row.target.operation, 66) + left(measured_text(row), 22) + left(limit_text(row.target), 13) + verdict(row) + "\n";
    met += row.met();
    measured += row.figure != nullptr;
  }
  return text + fmt::format("{} of {} targets met, {} not measured\n", met, rows.size(), rows.size() - measured);
}

std::string markdown_of(std::vector<BudgetRow> const& rows, Report const& report) {
  std::string text = fmt::format("`{}`: {}{}.\n\n", report.command, TextReport::beginning(report.machine), report.repeats());
  text +=
      "| operation | measured | spread | beside references | target | | best existing software "
      "|\n|---|---|---|---|---|---|---|\n";
  for (BudgetRow const& row : rows) {
    bool const there = row.figure != nullptr;
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", row.target.operation, measured_text(row),
                        there ? spread_text(row.figure->sample) : "", there ? ratios_text(*row.figure) : "",
                        limit_text(row.target), verdict(row), row.target.peers.empty() ? "–" : row.target.peers);
  }
  return text;
}

}  // namespace swiommu::bench
