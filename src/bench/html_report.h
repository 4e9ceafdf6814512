// The report as one page for people: it needs nothing from elsewhere.
#pragma once
#include <string>
#include <vector>

#include "bench/budget.h"
#include "bench/report.h"

namespace swiommu::bench {

std::string to_html(Report const& report, std::vector<BudgetRow> const& rows);

}  // namespace swiommu::bench
