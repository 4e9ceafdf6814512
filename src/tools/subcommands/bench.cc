// swiommu bench: what translating, mapping and invalidating cost on this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "base/spelling.h"
#include "bench/budget.h"
#include "bench/comparison.h"
#include "bench/html_report.h"
#include "bench/json_report.h"
#include "bench/progress.h"
#include "bench/session.h"
#include "bench/suites.h"
#include "bench/text_report.h"
#include "tools/numbers.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"

namespace swiommu::tools {

namespace {

struct Options {
  std::vector<std::string> suites, formats;
  std::optional<std::string> json, html, compare, pages_max;
  bool quick = false, list = false, table = false, markdown = false;
};

// All that is asked for, understood.
struct Plan {
  bench::Scope scope;
  std::vector<bench::Measurement> measurements;
  std::vector<bench::Target> targets;
  std::optional<bench::Report> old;
  std::ofstream json, html;
};

Result<std::vector<bench::Suite>> chosen_suites(std::vector<std::string> const& names) {
  std::vector<bench::Suite> chosen;
  std::vector<std::string> all;
  for (bench::Suite const& suite : bench::suites()) {
    all.emplace_back(suite.name);
    if (names.empty() || std::ranges::find(names, suite.name) != names.end()) chosen.push_back(suite);
  }
  for (std::string const& name : names) {
    if (std::ranges::find(all, name) != all.end()) continue;
    std::string const likely = likely_word(name, all);
    return fail(EINVAL, fmt::format("--suite: '{}' is no suite; there are {}{}", name, fmt::join(all, ", "),
                                    likely.empty() ? "" : fmt::format("; did you mean {}?", likely)));
  }
  return chosen;
}

Result<void> open_for_writing(std::ofstream& file, std::optional<std::string> const& path, char const* option) {
  if (!path) return {};
  file.open(*path);
  if (!file) return fail(errno, fmt::format("{}: {} cannot be written", option, *path));
  return {};
}

Result<bench::Report> read_report(std::string const& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return fail(errno != 0 ? errno : EIO, fmt::format("--compare: {} cannot be read", path));
  return bench::from_json(text.str(), "--compare: " + path);
}

Result<bench::Scope> scope_of(Options const& o) {
  bench::Scope scope{.quick = o.quick};
  if (o.pages_max) {
    auto const pages = parse_number(*o.pages_max, "--pages-max:");
    if (!pages) return std::unexpected(pages.error());
    if (!std::has_single_bit(*pages) || *pages > bench::Scope::usual_most_pages)
      return fail(EINVAL,
                  fmt::format("--pages-max: {} is no power of two up to {}", *o.pages_max, bench::Scope::usual_most_pages));
    scope.most_pages = *pages;
  }
  for (std::string const& name : o.formats) {
    auto const format = find_format(name);
    if (!format) return fail(EINVAL, "--format: " + format.error().about);
    scope.formats.push_back(*format);
  }
  if (scope.formats.empty()) scope.formats = bench::usual_formats(o.quick || o.table);
  return scope;
}

Result<void> plan(Plan& plan, Options const& o) {
  if (o.markdown && !o.table) return fail(EINVAL, "--markdown is for --table");
  auto const suites = chosen_suites(o.suites);
  if (!suites) return std::unexpected(suites.error());
  auto scope = scope_of(o);
  if (!scope) return std::unexpected(scope.error());
  plan.scope = std::move(*scope);
  plan.targets = bench::budget(plan.scope);
  std::set<std::string> in_table;
  for (bench::Target const& target : plan.targets) in_table.insert(target.figure);
  for (bench::Suite const& suite : *suites)
    for (bench::Measurement& each : suite.measurements(plan.scope))
      if (!o.table || in_table.contains(name(each.label))) plan.measurements.push_back(std::move(each));
  if (o.compare) {
    auto old = read_report(*o.compare);
    if (!old) return std::unexpected(old.error());
    plan.old = std::move(*old);
  }
  if (auto opened = open_for_writing(plan.json, o.json, "--json"); !opened) return opened;
  return open_for_writing(plan.html, o.html, "--html");
}

void list(Plan const& plan) {
  for (bench::Suite const& suite : bench::suites()) put("# {}: {}\n", suite.name, suite.what);
  for (bench::Measurement const& each : plan.measurements) put("{}\n", name(each.label));
}

bench::Report measure(Plan const& plan, Options const& o) {
  bench::Report report{.version = SWIOMMU_VERSION, .machine = bench::this_machine(), .command = "swiommu bench"};
  bench::ThisProcessor processor;
  bench::Sampler sampler(processor,
                         o.quick ? bench::Sampler::Options{.repeats = 7, .repeat_nanoseconds = 1e6} : bench::Sampler::Options{});
  bench::Progress progress(bench::count_of(plan.measurements));
  bench::TextReport text;
  if (!o.table) put_text(bench::TextReport::beginning(report.machine));
  bench::Session session(sampler, {.starts = [&](bench::Label const& label) { progress.advance(name(label)); },
                                   .ends =
                                       [&](bench::Figure const& figure) {
                                         if (o.table) return;
                                         progress.clear();
                                         put_text(text.lines_for(figure));
                                         std::fflush(stdout);
                                       }});
  session.run(plan.measurements);
  report.figures = session.figures();
  return report;
}

int run(Options const& o, std::string const& command) {
  Plan todo;
  if (auto const planned = plan(todo, o); !planned) return report_bad_input(planned.error());
  if (o.list) return list(todo), all_well;
  bench::Report report = measure(todo, o);
  report.command = command;
  auto const rows = bench::rows_of(todo.targets, report);
  if (!o.table) put_text(bench::TextReport::ending(report));
  put_text(o.markdown ? bench::markdown_of(rows, report) : bench::text_of(rows));
  int status =
      std::ranges::any_of(report.figures, [](bench::Figure const& f) { return !f.problem.empty(); }) ? faulted : all_well;
  if (todo.json.is_open()) todo.json << bench::to_json(report) << std::flush;
  if (todo.html.is_open()) todo.html << bench::to_html(report, rows) << std::flush;
  if (!todo.json || !todo.html) return report_bad_input("a report could not be written");
  if (todo.old) {
    auto const comparison = bench::compare(*todo.old, report);
    put("\ncompared with {}, {} UTC\n{}", *o.compare, todo.old->machine.date, bench::text_of(comparison));
    if (!comparison.slower.empty()) status = faulted;
  }
  return status;
}

}  // namespace

void add_bench(CLI::App& program, int& status) {
  auto* const command = program.add_subcommand("bench", "Measure what translating, mapping and invalidating cost here");
  command->footer(
      "Every time is a median over repeats, with the distance to the quartiles; repeats that something disturbed are discarded "
      "and\n"
      "counted. Beside it stands the ratio to references that are measured in the same run. docs/performance.md explains it.\n"
      "Examples:\n"
      "  swiommu bench --quick\n"
      "  swiommu bench --suite walk --format riscv-sv48 --format amd-v1\n"
      "  swiommu bench --json today.json --html today.html\n"
      "  swiommu bench --compare today.json\n"
      "  swiommu bench --table                     only what there are targets for, and whether they are met\n"
      "Exit status: 0; 1 if something got slower (--compare) or could not be measured; 2 bad input.");
  auto const options = std::make_shared<Options>();
  command->add_option("--suite", options->suites, "Only these suites (--list names them)")->type_name("NAME...");
  command->add_option("--format", options->formats, "Only these page-table formats (swiommu formats)")->type_name("F...");
  command->add_flag("--quick", options->quick, "One format, fewer sizes, shorter repeats: about a minute");
  command->add_option("--pages-max", options->pages_max, "The largest working set in pages, a power of two; usually 16 Mi")
      ->type_name("N");
  command->add_flag("--list", options->list, "Name what would be measured, and measure nothing");
  command->add_flag("--table", options->table, "Measure what there are targets for, and print the table only");
  command->add_flag("--markdown", options->markdown, "The table as Markdown");
  command->add_option("--json", options->json, "Write all figures to a file")->type_name("FILE");
  command->add_option("--html", options->html, "Write a page with plots")->type_name("FILE");
  command->add_option("--compare", options->compare, "Say what became faster or slower since a run with --json")
      ->type_name("OLD");
  command->callback([command, options, &status] {
    std::string words = "swiommu bench";
    for (CLI::Option const* const option : command->get_options())
      if (option->count() > 0)
        words += fmt::format(" --{}{}{}", option->get_lnames().front(), option->get_items_expected_max() == 0 ? "" : " ",
                             option->get_items_expected_max() == 0 ? "" : fmt::format("{}", fmt::join(option->results(), " ")));
    status = run(*options, words);
  });
}

}  // namespace swiommu::tools
