// The fixture of the conformance suite: a test runs over all configurations of one format.
#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "conformance/checked_table.h"
#include "conformance/format_under_test.h"

namespace swiommu::conformance {

inline char const* name(TablesIn where) {
  switch (where) {
    case TablesIn::own_memory: return "own tables";
    case TablesIn::foreign_little: return "foreign tables, little endian";
    case TablesIn::foreign_big: return "foreign tables, big endian";
    case TablesIn::recording_memory: return "recorded tables";
  }
  return "";
}

class Conformance : public testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] FormatFamily const& family() const { return format_families()[GetParam()]; }

  // Calls `body(CheckedTable&)` with an empty table of each configuration in each kind of memory. What is left when the
  // table goes is a failure.
  template <class Body>
  void for_each_table(Body body, std::initializer_list<TablesIn> places = {TablesIn::own_memory, TablesIn::foreign_little,
                                                                           TablesIn::foreign_big}) {
    for (auto const& format : family().formats)
      for (TablesIn const where : places) {
        SCOPED_TRACE(format->name + ", " + name(where));
        CheckedTable table(*format, where);
        body(table);
        table.destroy();
        if (HasFailure()) return;
      }
  }
};

inline std::string family_name(testing::TestParamInfo<std::size_t> const& info) { return format_families()[info.param].name; }

#define SWIOMMU_FOR_ALL_FORMATS(suite) \
  INSTANTIATE_TEST_SUITE_P(Formats, suite, testing::Range<std::size_t>(0, format_families().size()), family_name)

}  // namespace swiommu::conformance
