// The report as a file, for tools and to compare with later.
#pragma once
#include <string>
#include <string_view>

#include "bench/report.h"
#include "swiommu/base/result.h"

namespace swiommu::bench {

std::string to_json(Report const& report);

// EINVAL: the text is no such report; `file` is what the error calls it.
Result<Report> from_json(std::string_view text, std::string_view file);

}  // namespace swiommu::bench
