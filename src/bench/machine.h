// What a run was done on.
#pragma once
#include <string>

namespace swiommu::bench {

struct Machine {
  std::string processor;  // as /proc/cpuinfo calls it
  unsigned processors = 1;
  std::string kernel;
  std::string compiler;
  bool optimised = true;
  std::string date;                    // UTC: "2026-11-27 08:00"
  bool huge_pages_for_tables = false;  // are asked for

  bool operator==(Machine const&) const = default;
};

Machine this_machine();

// Does the library ask for huge pages for its tables? References do the same.
bool tables_ask_for_huge_pages();

}  // namespace swiommu::bench
