#include "bench/budget.h"

#include <gtest/gtest.h>

#include <set>

#include "bench/background.h"
#include "bench/report_fixture.h"
#include "bench/suites.h"

namespace swiommu::bench {
namespace {

TEST(BenchBudget, HasOnlyFiguresThatAreMeasuredQuickOrNot) {
  if (!has_processors(2)) GTEST_SKIP() << "what needs two processors is not measured";
  for (bool const quick : {false, true}) {
    Scope const scope{.quick = quick, .formats = usual_formats(quick)};
    std::set<std::string> measured;
    for (Suite const& suite : suites())
      for (Measurement const& measurement : suite.measurements(scope)) measured.insert(name(measurement.label));
    for (Target const& target : budget(scope))
      EXPECT_TRUE(measured.contains(target.figure)) << target.figure << " quick " << quick;
  }
}

TEST(BenchBudget, NamesNoFigureTwice) {
  for (bool const quick : {false, true}) {
    Scope const scope{.quick = quick, .formats = usual_formats(quick)};
    std::set<std::string> names;
    for (Suite const& suite : suites())
      for (Measurement const& measurement : suite.measurements(scope)) {
        EXPECT_EQ(measurement.label.suite, suite.name);
        EXPECT_TRUE(names.insert(name(measurement.label)).second) << name(measurement.label);
      }
  }
}

TEST(BenchBudget, IsMetUpToTheLimit) {
  Report const report = made_up_report();
  std::string const figure = "walk/leaves, independent/a<b/1";  // 7.25 ns, 3.625 times its reference
  using enum Target::Of;
  auto const row = [&](Target::Of of, double limit) {
    return rows_of({{.operation = "a walk", .figure = figure, .of = of, .limit = limit, .peers = ""}}, report).front();
  };
  EXPECT_TRUE(row(time, 7.25).met());
  EXPECT_FALSE(row(time, 7.24).met());
  EXPECT_TRUE(row(ratio, 3.7).met());
  EXPECT_FALSE(row(ratio, 3.6).met());
  EXPECT_NEAR(row(loss, 1).value, 72.41, 0.01);
  EXPECT_EQ(words_of(row(time, 2.9)).verdict, "missed: 2.5 x of it");
  EXPECT_EQ(words_of(row(loss, 80)).verdict, "met");
  EXPECT_EQ(words_of(row(loss, 80)).measured, "72.4 % (7.25 ns)");
}

TEST(BenchBudget, SaysWhatWasNotMeasured) {
  Report const report = made_up_report();
  auto const rows = rows_of({{.operation = "unmap", .figure = "map/ioctl/UNMAP", .limit = 5, .peers = ""},
                             {.operation = "map", .figure = "map/ioctl/MAP", .of = Target::Of::ratio, .limit = 5, .peers = ""}},
                            report);
  for (BudgetRow const& row : rows) {
    EXPECT_FALSE(row.met());
    EXPECT_EQ(words_of(row).measured, "not measured");
  }
  EXPECT_TRUE(markdown_of(rows, report).starts_with("`swiommu bench --suite walk`: A <processor> & more, 2 processors, "));
  EXPECT_NE(text_of(rows).find("0 of 2 targets met, 2 not measured"), std::string::npos);
  EXPECT_NE(markdown_of(rows, report).find("| unmap | not measured |"), std::string::npos);
}

}  // namespace
}  // namespace swiommu::bench
