#include "bench/json_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace swiommu::bench {

namespace {

constexpr char const* kind = "swiommu bench";
constexpr int version = 1;
using Json = nlohmann::ordered_json;

Json json_of(Machine const& m) {
  return {{"processor", m.processor}, {"processors", m.processors}, {"kernel", m.kernel},
          {"compiler", m.compiler},   {"optimised", m.optimised},   {"huge_pages_for_tables", m.huge_pages_for_tables}};
}

Json json_of(Figure const& f) {
  Json json{{"suite", f.label.suite}, {"chart", f.label.chart}, {"series", f.label.series}, {"per", f.label.per}};
  if (!f.label.axis.empty()) json["axis"] = f.label.axis, json["x"] = f.label.x;
  if (f.problem.empty()) {
    json["nanoseconds"] = f.sample.median;
    json["quartiles"] = {f.sample.low, f.sample.high};
    json["repeats"] = f.sample.kept;
    json["discarded"] = f.sample.discarded;
    json["disturbed"] = f.sample.disturbed;
  } else {
    json["problem"] = f.problem;
  }
  for (Ratio const& ratio : f.ratios) json["ratios"][ratio.reference] = ratio.value;
  if (!f.remark.empty()) json["remark"] = f.remark;
  return json;
}

Machine machine_of(Json const& json, std::string date) {
  return {.processor = json.at("processor"),
          .processors = json.at("processors"),
          .kernel = json.at("kernel"),
          .compiler = json.at("compiler"),
          .optimised = json.at("optimised"),
          .date = std::move(date),
          .huge_pages_for_tables = json.at("huge_pages_for_tables")};
}

Figure figure_of(Json const& json) {
  Figure figure{.label = {.suite = json.at("suite"),
                          .chart = json.at("chart"),
                          .series = json.at("series"),
                          .axis = json.value("axis", ""),
                          .x = json.value("x", std::uint64_t{0}),
                          .per = json.at("per")},
                .remark = json.value("remark", ""),
                .problem = json.value("problem", "")};
  if (figure.problem.empty())
    figure.sample = {.median = json.at("nanoseconds"),
                     .low = json.at("quartiles").at(0),
                     .high = json.at("quartiles").at(1),
                     .kept = json.at("repeats"),
                     .discarded = json.at("discarded"),
                     .disturbed = json.at("disturbed")};
  if (json.contains("ratios"))
    for (auto const& [reference, value] : json.at("ratios").items()) figure.ratios.push_back({reference, value});
  return figure;
}

}  // namespace

std::string to_json(Report const& report) {
  Json json{{"report", kind},
            {"format", version},
            {"swiommu", report.version},
            {"date", report.machine.date},
            {"command", report.command},
            {"machine", json_of(report.machine)}};
  json["figures"] = Json::array();
  for (Figure const& figure : report.figures) json["figures"].push_back(json_of(figure));
  return json.dump(1) + "\n";
}

Result<Report> from_json(std::string_view text, std::string_view file) {
  try {
    Json const json = Json::parse(text);
    if (!json.is_object() || json.value("report", "") != kind || json.value("format", 0) != version)
      return fail(EINVAL, fmt::format("{} is no report that swiommu bench --json wrote", file));
    Report report{
        .version = json.at("swiommu"), .machine = machine_of(json.at("machine"), json.at("date")), .command = json.at("command")};
    for (Json const& figure : json.at("figures")) report.figures.push_back(figure_of(figure));
    return report;
  } catch (nlohmann::json::exception const& problem) {
    return fail(EINVAL, fmt::format("{} is no report that swiommu bench --json wrote: {}", file, problem.what()));
  }
}

}  // namespace swiommu::bench
