// Makes the formats that the suite runs over, and tests that the list is sound.
#include <set>

#include "conformance/format_of.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu::conformance {

std::vector<FormatFamily> const& format_families() {
  static std::vector<FormatFamily> const families = [] {
    std::vector<FormatFamily> all;
    for_each_format([&]<class F>(std::string_view name, Expresses const& expresses, Configurations const& configurations) {
      FormatFamily family{.name = std::string(name), .formats = {}};
      for (FormatConfiguration const& c : configurations) {
        if (auto const checked = F::check(c); !checked) {
          ADD_FAILURE() << name << ": " << checked.error().message();
          continue;
        }
        family.formats.push_back(std::make_unique<FormatOf<F>>(name, expresses, c));
        family.formats.back()->is_library_format = !std::is_same_v<F, ToyFormat>;
      }
      all.push_back(std::move(family));
    });
    return all;
  }();
  return families;
}

TEST(ConformanceFormats, HaveSoundConfigurationsThatTheLibraryKnows) {
  std::set<FormatName> known;
  for (FormatFamily const& family : format_families()) {
    EXPECT_FALSE(family.formats.empty()) << family.name;
    for (auto const& format : family.formats) {
      SCOPED_TRACE(format->name);
      EXPECT_LE(format->geometry.input_bits(), 64u);
      EXPECT_NE(format->page_sizes(), 0u);
      if (!format->is_library_format) continue;
      known.insert(format->configuration.format);
      auto const allocator = *TableAllocator::create(std::uint64_t{64} << 20);
      auto const table = PageTable::create(format->configuration, allocator);
      ASSERT_TRUE(table) << table.error().message();
      EXPECT_EQ((*table)->shape().levels, format->geometry.levels);
      EXPECT_EQ((*table)->shape().page_sizes, format->page_sizes());
      EXPECT_EQ(allocator->tables_in_use(), 1u);
    }
  }
  EXPECT_EQ(known.size(), 8u) << "a format of the library is not tested";
}

}  // namespace swiommu::conformance
