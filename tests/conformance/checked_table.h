// A page table beside the model of what it ought to hold: each change is made to both, and they must agree.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conformance/format_under_test.h"
#include "conformance/model.h"

namespace swiommu::conformance {

inline constexpr Attributes read_write{.access = Access::both()};
inline constexpr Attributes read_only{.access = Access::reading()};

class CheckedTable {
 public:
  CheckedTable(FormatUnderTest const& format, TablesIn where)
      : format_(format), made_(format.make(where)), model_(format.page_sizes()), tables_when_empty_(made_.tables_in_use()) {}

  [[nodiscard]] FormatUnderTest const& format() const { return format_; }
  [[nodiscard]] PageTable& table() { return *made_.table; }
  [[nodiscard]] TableUnderTest& made() { return made_; }
  [[nodiscard]] Model const& model() const { return model_; }
  [[nodiscard]] TableShape const& shape() const { return made_.table->shape(); }
  [[nodiscard]] std::uint64_t tables_in_use() const { return made_.tables_in_use(); }

  // Each change returns its errno, or 0, after it has been compared with the model's.
  int map(Range range, std::uint64_t output, Attributes attributes = read_write, Existing existing = Existing::refuse,
          Cut cut = Cut::refuse) {
    bool const accessed = shape().tracks_accessed && format_.expresses.born_accessed;
    auto const changing = model_.hull(range);
    int const expected = model_.map(range, output, format_.expresses(attributes), existing, cut, accessed);
    Gather gather;
    auto const mapped = made_.table->map(range, output, attributes, existing, cut, gather);
    if (mapped) check_gather(gather, changing);
    gather.finish();
    int const code = mapped ? 0 : mapped.error().code;
    EXPECT_EQ(code, expected) << "map " << describe(range) << " to " << std::hex << output
                              << (mapped ? "" : ": " + mapped.error().message());
    return code;
  }

  int replace(Range range, std::uint64_t output, Attributes attributes = read_write, Cut cut = Cut::refuse) {
    return map(range, output, attributes, Existing::replace, cut);
  }

  int unmap(Range range, Cut cut = Cut::refuse) {
    std::uint64_t bytes = 0;
    auto const changing = model_.hull(range);
    int const expected = model_.unmap(range, cut, bytes);
    Gather gather;
    auto const unmapped = made_.table->unmap(range, cut, gather);
    if (unmapped) check_gather(gather, changing);
    gather.finish();
    int const code = unmapped ? 0 : unmapped.error().code;
    EXPECT_EQ(code, expected) << "unmap " << describe(range) << (unmapped ? "" : ": " + unmapped.error().message());
    if (unmapped && expected == 0) {
      EXPECT_EQ(*unmapped, bytes) << "unmap " << describe(range);
    }
    return code;
  }

  // A walk that may set flags.
  void access(std::uint64_t input, Access access) {
    Walk const walk = made_.table->walk(input, access, Update::yes);
    auto const at = model_.find(input);
    bool const allowed = at != model_.entries().end() && at->second.attributes.access.covers(access);
    EXPECT_EQ(walk.ok(), allowed) << std::hex << input;
    if (allowed) model_.access(input, shape().tracks_accessed, shape().tracks_dirty && access.write);
  }

  void check_walk(std::uint64_t input) {
    Walk const walk = made_.table->walk(input, Access{}, Update::no);
    auto const at = model_.find(input);
    if (at == model_.entries().end()) {
      EXPECT_EQ(walk.reason, Reason::not_mapped) << std::hex << input;
      // The hole that the walk reports is one.
      EXPECT_FALSE(model_.overlaps(Range::block(input, walk.size_lg2)))
          << std::hex << input << " size " << unsigned{walk.size_lg2};
      return;
    }
    ModelEntry const& e = at->second;
    EXPECT_TRUE(walk.ok()) << std::hex << input << ": " << swiommu::name(walk.reason);
    EXPECT_EQ(walk.output, e.output + (input - at->first)) << std::hex << input;
    EXPECT_EQ(walk.attributes, e.attributes) << std::hex << input;
    EXPECT_EQ(walk.size_lg2, e.size_lg2) << std::hex << input;
  }

  // All leaves, in order, are the model's entries.
  void check() {
    check({0, ~std::uint64_t{0}});
    check_flags();
  }
  void check(Range range);
  void check_flags();
  void read_flags(Flag flag, Range range, Clear clear);

  // Unmaps everything, which leaves only the root, and destroys the table, which leaves nothing.
  void destroy();

  static std::string describe(Range range);

 private:
  // What is to be invalidated holds all inputs that had a translation; and without a range no table may be freed, because a
  // walker may remember where tables are.
  static void check_gather(Gather const& gather, std::optional<Range> changing) {
    if (changing) {
      EXPECT_TRUE(gather.range() && gather.range()->contains(*changing)) << describe(*changing);
    }
    if (gather.has_tables()) {
      EXPECT_TRUE(gather.range()) << "tables are freed, but nothing is invalidated";
    }
  }

  FormatUnderTest const& format_;
  TableUnderTest made_;
  Model model_;
  std::uint64_t tables_when_empty_;
};

}  // namespace swiommu::conformance
