// The reports: text, JSON, HTML, comparison.
#include <gtest/gtest.h>

#include <algorithm>

#include "bench/budget.h"
#include "bench/comparison.h"
#include "bench/figure_text.h"
#include "bench/html_report.h"
#include "bench/json_report.h"
#include "bench/report_fixture.h"
#include "bench/text_report.h"

namespace swiommu::bench {
namespace {

TEST(BenchReports, WritesTimesWithThreeDigits) {
  EXPECT_EQ(time_text(0.6), "0.60 ns");
  EXPECT_EQ(time_text(9.994), "9.99 ns");
  EXPECT_EQ(time_text(9.996), "10.0 ns");
  EXPECT_EQ(time_text(123.4), "123 ns");
  EXPECT_EQ(time_text(999.6), "1.00 µs");
  EXPECT_EQ(time_text(2.5e6), "2.50 ms");
  EXPECT_EQ(time_text(7.2e13), "72000 s");
}

TEST(BenchReports, WritesCountsInBinaryUnits) {
  EXPECT_EQ(count_text(1), "1");
  EXPECT_EQ(count_text(1000), "1000");
  EXPECT_EQ(count_text(1024), "1 Ki");
  EXPECT_EQ(count_text(std::uint64_t{1} << 24), "16 Mi");
}

TEST(BenchReports, ComesBackFromJsonAsItWas) {
  Report const report = made_up_report();
  auto const back = from_json(to_json(report), "a file");
  ASSERT_TRUE(back) << back.error().about;
  EXPECT_EQ(*back, report);
}

TEST(BenchReports, RefusesJsonOfAnotherKind) {
  for (char const* const text :
       {"", "{", "[]", "7", "{}", R"({"report": "swiommu bench"})", R"({"report": 1})",
        R"({"report": "swiommu bench", "format": 2})", R"({"report": "swiommu bench", "format": 1, "swiommu": 3})"}) {
    auto const report = from_json(text, "old.json");
    ASSERT_FALSE(report) << text;
    EXPECT_EQ(report.error().code, EINVAL);
    EXPECT_TRUE(report.error().about.starts_with("old.json is no report that swiommu bench --json wrote"))
        << report.error().about;
  }
}

TEST(BenchReports, SaysOfEachFigureWhatItIsBesideItsReferences) {
  Report const report = made_up_report();
  TextReport text;
  std::string all;
  for (Figure const& figure : report.figures) all += text.lines_for(figure);
  EXPECT_NE(all.find("walk\n  leaves, independent, per walk\n"), std::string::npos) << all;
  EXPECT_NE(all.find("4 Ki pages    29.7 µs ±  1 %   14848.00 x flat array   (97 % walk; 2 disturbed repeats discarded)"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("UNMAP"), std::string::npos);
  EXPECT_NE(all.find("not measured: no memory"), std::string::npos);
  EXPECT_EQ(all.find("look-up"), std::string::npos) << "references come last";
  EXPECT_NE(TextReport::ending(report).find("flat array, per look-up"), std::string::npos);
}

// Every element that is opened is closed, in order; quotes in tags are pairs.
std::string complaint_about(std::string const& html) {
  std::vector<std::string> open;
  for (std::size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
    auto const end = html.find('>', at);
    if (end == std::string::npos) return "a tag that does not end";
    std::string const tag = html.substr(at + 1, end - at - 1);
    at = end;
    if (std::ranges::count(tag, '"') % 2 != 0 || std::ranges::count(tag, '\'') % 2 != 0) return "odd quotes in " + tag;
    std::string const word = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.starts_with('!') || tag.ends_with('/') || word == "meta" || word == "br") continue;
    if (!tag.starts_with('/')) {
      open.push_back(word);
    } else if (open.empty() || open.back() != tag.substr(1)) {
      return tag + " closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " is never closed";
}

TEST(BenchReports, AreWellFormedPagesThatNeedNothingElse) {
  Report const report = made_up_report();
  std::string const html = to_html(report, rows_of({{.operation = "walk <fast>",
                                                     .figure = "walk/leaves, independent/a<b/1",
                                                     .of = Target::Of::time,
                                                     .limit = 3,
                                                     .peers = "none"}},
                                                   report));
  EXPECT_EQ(complaint_about(html), "");
  for (char const* const from_elsewhere : {"http:", "https:", "src=", "href=", "@import", "url("})
    EXPECT_EQ(html.find(from_elsewhere), std::string::npos) << from_elsewhere;
  EXPECT_NE(html.find("A &lt;processor&gt; &amp; more"), std::string::npos);
  EXPECT_NE(html.find("walk &lt;fast&gt;"), std::string::npos);
  EXPECT_NE(html.find("<svg"), std::string::npos);
  EXPECT_NE(html.find("<title>a&lt;b, 4 Ki: 29.7 µs</title>"), std::string::npos);
  EXPECT_NE(html.find("<title>flat array, 1: 2.00 ns</title>"), std::string::npos) << "references are curves as well";
  EXPECT_NE(html.find("not measured: no memory"), std::string::npos);
  EXPECT_EQ(html.find("nan"), std::string::npos);
  EXPECT_EQ(html.find("inf"), std::string::npos);
}

TEST(BenchReports, DrawWhatHasOneFigureOrNone) {
  Report report = made_up_report();
  report.figures.resize(2);
  EXPECT_EQ(complaint_about(to_html(report, {})), "");
  report.figures.clear();
  EXPECT_EQ(complaint_about(to_html(report, {})), "");
}

TEST(BenchReports, TellWhatBecameSlowerAndFaster) {
  Report const before = made_up_report();
  Report after = before;
  auto const scale = [&](std::size_t n, double by) {
    Sample& sample = after.figures[n].sample;
    sample.median *= by, sample.low *= by, sample.high *= by;
  };
  scale(1, 1.30);
  scale(3, 0.50);
  scale(0, 9.00);  // a reference
  auto const comparison = compare(before, after);
  ASSERT_EQ(comparison.slower.size(), 1u);
  EXPECT_EQ(comparison.slower.front().name, "walk/leaves, independent/a<b/1");
  EXPECT_NEAR(comparison.slower.front().ratio(), 1.3, 1e-9);
  ASSERT_EQ(comparison.faster.size(), 1u);
  EXPECT_EQ(comparison.same, 1u);
  EXPECT_EQ(comparison.not_compared, 1u);  // what could not be measured
  std::string const text = text_of(comparison);
  EXPECT_NE(text.find("7.25 ns -> 9.43 ns, 1.30 x"), std::string::npos) << text;
  EXPECT_NE(text.find("1 slower, 1 faster, 1 the same within their spread, 1 not to be compared"), std::string::npos) << text;
}

TEST(BenchReports, TakeNothingForAChangeThatIsWithinTheSpread) {
  Report const before = made_up_report();
  Report after = before;
  after.figures[1].sample = {.median = 9, .low = 7, .high = 11, .kept = 7};  // overlaps
  after.figures[3].sample.median *= 1.04;                                    // does not, but is little
  after.figures[3].sample.low = after.figures[3].sample.high = after.figures[3].sample.median;
  EXPECT_TRUE(compare(before, after).slower.empty());
  after.figures[1].sample = {.median = 100, .low = 100, .high = 100, .kept = 7, .disturbed = true};
  EXPECT_TRUE(compare(before, after).slower.empty()) << "disturbed";
  after.machine.processor = "another";
  EXPECT_NE(text_of(compare(before, after)).find("another machine"), std::string::npos);
}

}  // namespace
}  // namespace swiommu::bench
