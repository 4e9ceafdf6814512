// One call on a user's table looks at no more words than it may, however often the table contains itself.
#include <gtest/gtest.h>

#include "conformance/plain_memory.h"
#include "page_table/formats/vtd_second_stage.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {
namespace {

using conformance::PlainMemory;

constexpr FormatConfiguration vtd{.format = FormatName::vtd_second_stage, .levels = 4};
constexpr Attributes both{.access = Access::both()};

class ForeignBudget : public testing::Test {
 protected:
  // Each item of a table names the same table below; the lowest maps nothing, or pages. To look at all that is 2^27 times 512
  // words.
  ForeignBudget() {
    for (std::uint64_t& table : tables) table = *memory.allocate(12);
    for (unsigned level = 1; level < 4; level++)
      for (std::uint64_t i = 0; i < 512; i++) put(tables[level], i, format.table(tables[level - 1], level));
  }
  void put(std::uint64_t table, std::uint64_t index, std::uint64_t word) {
    ASSERT_EQ(memory.write(table + index * 8, &word, 8), 8u);
  }
  std::unique_ptr<PageTable> open(std::uint64_t budget) {
    return *PageTable::open({.format = vtd, .root = tables[3]}, memory, &memory, budget);
  }
  static int unmap(PageTable& table, Range range) {
    Gather gather;
    auto const unmapped = table.unmap(range, Cut::refuse, gather);
    gather.finish();
    return unmapped ? 0 : unmapped.error().code;
  }
  static int map(PageTable& table, Range range, Existing existing) {
    Gather gather;
    auto const mapped = table.map(range, 0, both, existing, Cut::split, gather);
    gather.finish();
    return mapped ? 0 : mapped.error().code;
  }

  VtdSecondStage const format{vtd};
  PlainMemory memory;
  std::array<std::uint64_t, 4> tables{};  // by level
};

TEST_F(ForeignBudget, AnUnmapThatWouldTakeForEverIsRefusedAndChangesNothing) {
  auto const table = open(10000);
  EXPECT_EQ(unmap(*table, {0, low_bits(48)}), E2BIG);
  EXPECT_EQ(memory.load_word(tables[3]), format.table(tables[2], 3));
  EXPECT_EQ(unmap(*table, {0, low_bits(21)}), 0) << "the same in a piece that it suffices for";
  EXPECT_EQ(memory.load_word(tables[1]), 0u);
}

TEST_F(ForeignBudget, TheUsualBudgetEndsAnUnmapToo) {
  auto const table = open(PageTable::default_budget);
  EXPECT_EQ(unmap(*table, {0, low_bits(48)}), E2BIG);
}

TEST_F(ForeignBudget, AMapLooksForWhatIsThereWithinTheBudget) {
  auto const table = open(10000);
  EXPECT_EQ(map(*table, {0, low_bits(30)}, Existing::refuse), E2BIG) << "one leaf, if there is nothing in 512 tables";
  EXPECT_EQ(map(*table, {0, low_bits(21)}, Existing::refuse), 0);
}

TEST_F(ForeignBudget, FlagsAreReadWithinTheBudget) {
  FormatConfiguration tracking = vtd;
  tracking.dirty_updates = true;
  auto const table = *PageTable::open({.format = tracking, .root = tables[3]}, memory, nullptr, 10000);
  auto const read = table->read_flags(Flag::dirty, {0, low_bits(48)}, Clear::no, [](Range) {});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, E2BIG);
  EXPECT_TRUE(table->read_flags(Flag::dirty, {0, low_bits(21)}, Clear::no, [](Range) {}));
}

TEST_F(ForeignBudget, SufficesForEachWordOnce) {
  // 512 words of the root, 512 of each table below, down to one table of pages: what a whole unmap looks at, to the word.
  for (unsigned level = 1; level < 4; level++)
    for (std::uint64_t i = 1; i < 512; i++) put(tables[level], i, 0);
  for (std::uint64_t i = 0; i < 512; i++) put(tables[0], i, format.leaf(i << 12, 0, 12, both));
  EXPECT_EQ(unmap(*open(4 * 512 - 1), {0, low_bits(48)}), E2BIG);
  EXPECT_EQ(unmap(*open(4 * 512), {0, low_bits(48)}), 0);
  EXPECT_EQ(memory.load_word(tables[3]), 0u);
}

}  // namespace
}  // namespace swiommu
