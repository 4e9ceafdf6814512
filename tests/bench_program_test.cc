// swiommu bench as people run it; what is measured is kept small.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "run_program.h"

namespace swiommu {
namespace {

using Arguments = std::vector<std::string>;

void expect_refused(Arguments arguments, std::string const& named) {
  arguments.insert(arguments.begin(), "bench");
  auto const run = run_program(arguments);
  EXPECT_EQ(run.status, 2) << named;
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  EXPECT_NE(run.err.find(named), std::string::npos) << "no '" << named << "' in: " << run.err;
}

TEST(BenchProgram, RefusesArgumentsThatMakeNoSense) {
  ScratchFolder const scratch;
  expect_refused({"--suite", "wlak"},
                 "'wlak' is no suite; there are translate, walk, nested, map, anchor, shadow, dirty, scale; did you mean walk?");
  expect_refused({"--suite"}, "--suite");
  expect_refused({"--format", "x87"}, "--format: 'x87'");
  for (char const* const pages : {"0", "3", "-1", "many", "33554432", ""}) expect_refused({"--pages-max", pages}, "--pages-max");
  expect_refused({"--markdown"}, "--table");
  expect_refused({"--frobnicate"}, "'--frobnicate'");
  expect_refused({"walk"}, "'walk'");
  expect_refused({"--json", "/nowhere/at/all.json"}, "--json: /nowhere/at/all.json cannot be written");
  expect_refused({"--html", "/nowhere/at/all.html"}, "--html: /nowhere/at/all.html");
  expect_refused({"--compare", "/nowhere/at/all.json"}, "--compare: /nowhere/at/all.json cannot be read");
  expect_refused({"--compare", scratch.file("old.json", "{}")}, "old.json is no report");
}

TEST(BenchProgram, ListsWhatItWouldMeasure) {
  auto const run = run_program({"bench", "--list", "--suite", "walk", "--format", "amd-v1", "--pages-max", "16"});
  EXPECT_EQ(run.status, 0);
  EXPECT_NE(run.out.find("# walk: "), std::string::npos);
  EXPECT_NE(run.out.find("\nwalk/smallest leaves, independent/amd-v1/16\n"), std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("\ntranslate/"), std::string::npos);
}

class BenchProgramSuite : public testing::TestWithParam<char const*> {};

// Everything of the suite, over small working sets: all of it can be measured, and is in all reports.
TEST_P(BenchProgramSuite, MeasuresWhatItLists) {
  ScratchFolder const scratch;
  auto const json = (scratch.path() / "report.json").string(), html = (scratch.path() / "report.html").string();
  Arguments const asked{"bench", "--suite", GetParam(), "--quick", "--pages-max", "64"};
  Arguments measuring = asked, listing = asked;
  measuring.insert(measuring.end(), {"--json", json, "--html", html});
  listing.push_back("--list");
  auto const run = run_program(measuring);
  EXPECT_EQ(run.status, 0) << run.out << run.err;
  EXPECT_EQ(run.err, "");  // it is no terminal
  auto const report = nlohmann::json::parse(content_of(json));
  std::string measured;
  for (auto const& figure : report.at("figures")) {
    EXPECT_GT(figure.value("nanoseconds", 0.0), 0) << figure;
    if (figure.at("suite") == "reference") continue;
    measured += figure.at("suite").get<std::string>() + "/" + figure.at("chart").get<std::string>() + "/" +
                figure.at("series").get<std::string>() + (figure.contains("x") ? "/" + figure.at("x").dump() : "") + "\n";
  }
  std::string listed = run_program(listing).out;
  listed.erase(0, listed.find(std::string("\n") + GetParam() + "/") + 1);
  EXPECT_EQ(measured, listed);
  EXPECT_NE(content_of(html).find("</html>"), std::string::npos);
}
INSTANTIATE_TEST_SUITE_P(Each, BenchProgramSuite,
                         testing::Values("translate", "walk", "nested", "map", "anchor", "shadow", "dirty", "scale"),
                         [](auto const& tested) { return std::string(tested.param); });

TEST(BenchProgram, ComparesWithAnEarlierRun) {
  ScratchFolder const scratch;
  auto const path = (scratch.path() / "old.json").string();
  Arguments const walks{"bench", "--suite", "walk", "--quick", "--pages-max", "1"};
  Arguments first = walks, second = walks;
  first.insert(first.end(), {"--json", path});
  ASSERT_EQ(run_program(first).status, 0);
  auto old = nlohmann::json::parse(content_of(path));
  auto const with_times = [&](double factor) {
    for (auto& figure : old.at("figures")) {
      figure.at("disturbed") = false;
      for (auto* const value : {&figure.at("nanoseconds"), &figure.at("quartiles").at(0), &figure.at("quartiles").at(1)})
        *value = value->get<double>() * factor;
    }
    return scratch.file("changed.json", old.dump());
  };
  second.insert(second.end(), {"--compare", with_times(1000)});
  auto const faster = run_program(second);
  EXPECT_EQ(faster.status, 0) << faster.out;
  EXPECT_NE(faster.out.find("0 slower, "), std::string::npos) << faster.out;
  second.back() = with_times(1e-6);
  auto const slower = run_program(second);
  EXPECT_NE(slower.out.find(" slower, 0 faster"), std::string::npos) << slower.out;
  // a machine that disturbs every single figure leaves nothing to compare
  EXPECT_EQ(slower.status, slower.out.find("\n0 slower") == std::string::npos ? 1 : 0) << slower.out;
}

TEST(BenchProgram, PrintsTheTableOnly) {
  auto const run = run_program({"bench", "--table", "--markdown", "--quick", "--suite", "anchor"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_TRUE(run.out.starts_with("`swiommu bench --suite anchor --quick --table --markdown`: ")) << run.out;
  EXPECT_NE(run.out.find("| new anchor, ports idle | "), std::string::npos);
  EXPECT_NE(run.out.find("| MAP ioctl, 4 KiB | not measured |"), std::string::npos);
}

}  // namespace
}  // namespace swiommu
