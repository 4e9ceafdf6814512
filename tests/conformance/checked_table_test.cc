#include "conformance/checked_table.h"

#include <cstdio>

#include "conformance/suite.h"

namespace swiommu::conformance {

std::string CheckedTable::describe(Range range) {
  char text[64];
  std::snprintf(text, sizeof text, "[0x%llx, 0x%llx]", static_cast<unsigned long long>(range.start),
                static_cast<unsigned long long>(range.last));
  return text;
}

void CheckedTable::check(Range range) {
  auto at = model_.entries().lower_bound(range.start);
  if (auto const first = model_.find(range.start); first != model_.entries().end()) at = first;
  std::uint64_t next = at == model_.entries().end() ? 0 : std::max(at->first, range.start);
  // Items of one entry come one by one: `next` is where the next one must start.
  bool const whole = made_.table->visit(range, [&](Leaf const& leaf) {
    if (at == model_.entries().end()) {
      ADD_FAILURE() << "nothing may be mapped at " << describe(leaf.range);
      return false;
    }
    ModelEntry const& e = at->second;
    Range const entry = Model::range_of(*at);
    bool const right = leaf.range.start == next && leaf.range.last <= entry.last && leaf.size_lg2 == e.size_lg2 &&
                       leaf.output == e.output + (leaf.range.start - entry.start) && leaf.attributes == e.attributes;
    if (!right) {
      ADD_FAILURE() << "found " << describe(leaf.range) << " to " << std::hex << leaf.output << std::dec << " size "
                    << unsigned{leaf.size_lg2} << " level " << unsigned{leaf.level} << ", not " << describe(entry) << " to "
                    << std::hex << e.output << std::dec << " size " << e.size_lg2 << " from " << std::hex << next;
      return false;
    }
    if (leaf.range.last == entry.last || leaf.range.last == range.last) {
      ++at;
      next = at == model_.entries().end() ? 0 : at->first;
    } else {
      next = leaf.range.last + 1;
    }
    return true;
  });
  EXPECT_TRUE(whole);
  if (whole) {
    EXPECT_TRUE(at == model_.entries().end() || at->first > range.last) << "missing: " << describe(Model::range_of(*at));
  }
}

void CheckedTable::read_flags(Flag flag, Range range, Clear clear) {
  auto const expected =
      model_.read_flags(flag == Flag::dirty ? &ModelEntry::dirty : &ModelEntry::accessed, range, clear == Clear::yes);
  std::vector<Range> found;
  auto const read = made_.table->read_flags(flag, range, clear, [&](Range part) { Model::add_joined(found, part); });
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_EQ(found.size(), expected.size()) << describe(range) << (flag == Flag::dirty ? " dirty" : " accessed");
  for (std::size_t i = 0; i < found.size(); i++)
    EXPECT_EQ(found[i], expected[i]) << describe(found[i]) << " is not " << describe(expected[i]);
}

void CheckedTable::check_flags() {
  for (Range const half : format_.inputs()) {
    if (shape().tracks_accessed) read_flags(Flag::accessed, half, Clear::no);
    if (shape().tracks_dirty) read_flags(Flag::dirty, half, Clear::no);
  }
}

void CheckedTable::destroy() {
  for (Range const half : format_.inputs()) EXPECT_EQ(unmap(half), 0);
  EXPECT_EQ(made_.tables_in_use(), tables_when_empty_) << "tables are left in an empty page table";
  made_.table.reset();
  EXPECT_EQ(made_.tables_in_use(), 0u) << "tables are left when the page table is gone";
}

namespace {

TEST_P(Conformance, AnEmptyTableMapsNothing) {
  for_each_table([](CheckedTable& t) {
    t.check();
    for (Range const half : t.format().inputs())
      for (std::uint64_t const input : {half.start, half.start + (half.last - half.start) / 2, half.last}) t.check_walk(input);
    EXPECT_EQ(t.tables_in_use(), 1u);
  });
}

}  // namespace

SWIOMMU_FOR_ALL_FORMATS(Conformance);

}  // namespace swiommu::conformance
