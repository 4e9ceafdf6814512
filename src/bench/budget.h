// What operations should cost, and the figures that show whether they do.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "bench/report.h"
#include "bench/suites.h"

namespace swiommu::bench {

struct Target {
  enum class Of : std::uint8_t {
    time,   // nanoseconds
    ratio,  // to the first reference
    loss,   // per cent of the operations that its first reference, the same undisturbed, does in the same time
  };
  std::string operation;
  std::string figure;  // the name of the figure that shows it
  Of of = Of::time;
  double limit = 0;   // at most
  std::string peers;  // what the best existing software takes; empty: none is known
};

// For the first format of the scope, and the first user page table on top of it.
std::vector<Target> budget(Scope const& scope);

struct BudgetRow {
  Target target;
  Figure const* figure = nullptr;  // nullptr: not measured
  double value = 0;                // in the unit of the target
  [[nodiscard]] bool met() const { return figure != nullptr && value <= target.limit; }
};
// `report` must outlive the rows.
std::vector<BudgetRow> rows_of(std::vector<Target> const& targets, Report const& report);

// A row in words.
struct BudgetText {
  std::string measured, limit, verdict;
};
BudgetText words_of(BudgetRow const& row);

std::string text_of(std::vector<BudgetRow> const& rows);
// With what it was measured on.
std::string markdown_of(std::vector<BudgetRow> const& rows, Report const& report);

}  // namespace swiommu::bench
