// Tables that somebody else owns: what the conformance suite cannot make, because we would not write such tables.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "conformance/plain_memory.h"
#include "failing_new.h"
#include "page_table/formats/amd_v1.h"
#include "page_table/formats/s390_zpci.h"
#include "page_table/formats/vtd_second_stage.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {
namespace {

using conformance::PlainMemory;
constexpr Attributes both{.access = Access::both()};
constexpr std::uint64_t root = PlainMemory::base + 0x100000;

// Memory in which the owner does something each time the engine is about to store a word.
class WatchedMemory final : public MemoryView {
 public:
  explicit WatchedMemory(PlainMemory& memory) : memory_(memory) {}
  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    if (access.write) before_write(address);
    return memory_.locate(address, access);
  }
  std::function<void(std::uint64_t)> before_write = [](std::uint64_t) {};

 private:
  PlainMemory& memory_;
};

class ForeignPageTable : public testing::Test {
 protected:
  ForeignPageTable() {
    for (int n = 0; n < 1024; n++) (void)*memory.allocate(12);  // what the tests place by hand lies in here
  }

  std::unique_ptr<PageTable> open(FormatConfiguration const& c, MemoryView const& view, bool with_source = true,
                                  bool big_endian = false) {
    return *PageTable::open({.format = c, .root = root, .big_endian = big_endian}, view, with_source ? &memory : nullptr);
  }
  void put(std::uint64_t table, std::uint64_t index, std::uint64_t word, bool big_endian = false) {
    if (big_endian) word = __builtin_bswap64(word);
    ASSERT_EQ(memory.write(table + index * 8, &word, 8), 8u);
  }
  std::uint64_t get(std::uint64_t table, std::uint64_t index) { return *memory.load_word(table + index * 8); }

  static std::vector<Range> leaves(PageTable const& table) {
    std::vector<Range> all;
    table.visit(Range::all(), [&](Leaf const& leaf) { return all.push_back(leaf.range), true; });
    return all;
  }
  static int map(PageTable& table, Range range, Existing existing = Existing::refuse, Cut cut = Cut::split) {
    Gather gather;
    auto const mapped = table.map(range, 0, both, existing, cut, gather);
    gather.finish();
    return mapped ? 0 : mapped.error().code;
  }
  static int unmap(PageTable& table, Range range) {
    Gather gather;
    auto const unmapped = table.unmap(range, Cut::split, gather);
    gather.finish();
    return unmapped ? 0 : unmapped.error().code;
  }

  PlainMemory memory;
};

constexpr FormatConfiguration vtd{.format = FormatName::vtd_second_stage, .levels = 3};
constexpr FormatConfiguration amd{.format = FormatName::amd_v1, .levels = 4, .accessed_updates = true, .dirty_updates = true};
constexpr FormatConfiguration s390{.format = FormatName::s390_zpci, .levels = 3};

TEST_F(ForeignPageTable, NeedsASourceOnlyForNewTables) {
  auto const table = open(vtd, memory, false);
  EXPECT_EQ(map(*table, {0, 0xfff}), ENOTSUP);
  EXPECT_EQ(map(*table, {0, low_bits(30)}), 0) << "a leaf of the root";
  EXPECT_EQ(unmap(*table, {0, 0xfff}), ENOTSUP);
  EXPECT_EQ(leaves(*table).size(), 1u);
  EXPECT_EQ(unmap(*table, {0, low_bits(30)}), 0);
}

TEST_F(ForeignPageTable, MemoryThatCannotBeWrittenIsAnErrorAndNoEndlessLoop) {
  auto const table = open(vtd, memory);
  ASSERT_EQ(map(*table, {0, low_bits(30)}), 0);
  memory.read_only = true;
  EXPECT_EQ(map(*table, {bit(30), bit(31) - 1}), EFAULT);
  EXPECT_EQ(map(*table, {bit(31), bit(31) + 0xfff}), EFAULT);
  EXPECT_EQ(map(*table, {0, 0xfff}, Existing::replace), EFAULT);
  EXPECT_EQ(unmap(*table, {0, low_bits(30)}), EFAULT);
  EXPECT_EQ(unmap(*table, {0x1000, 0x1fff}), EFAULT);
  memory.read_only = false;
  EXPECT_EQ(leaves(*table).size(), 1u);
  EXPECT_EQ(memory.tables_in_use, 1024u) << "tables given for the change are given back";
}

TEST_F(ForeignPageTable, TablesThatCannotBeReachedAreAnError) {
  auto const table = open(vtd, memory);
  VtdSecondStage const format(vtd);
  put(root, 0, format.table(0x1000, 2));
  EXPECT_EQ(map(*table, {0, 0xfff}), EFAULT);
  EXPECT_EQ(map(*table, {0, 0xfff}, Existing::replace), EFAULT);
  EXPECT_EQ(map(*table, {0, low_bits(21)}), EFAULT) << "where leaves would be written";
  EXPECT_EQ(unmap(*table, {0, 0xfff}), 0) << "nothing is mapped there";
  EXPECT_EQ(unmap(*table, {bit(39), bit(39)}), ERANGE);
}

TEST_F(ForeignPageTable, AnOwnerWhoRemovesATableDuringTheChangeGetsAnError) {
  WatchedMemory watched(memory);
  auto const table = open(vtd, watched);
  ASSERT_EQ(map(*table, {0, 0xfff}), 0);
  // The plan finds the tables of the first page in place; at the first store they are gone.
  bool removed = false;
  watched.before_write = [&](std::uint64_t) {
    if (!std::exchange(removed, true)) put(root, 0, 0);
  };
  EXPECT_EQ(map(*table, {bit(30) - 0x1000, bit(30) + 0xfff}), EFAULT);
  EXPECT_TRUE(removed);
}

TEST_F(ForeignPageTable, AnOwnerWhoKeepsWritingCannotKeepUs) {
  WatchedMemory watched(memory);
  auto const table = open(vtd, watched);
  ASSERT_EQ(map(*table, {0, low_bits(30)}), 0);
  std::uint64_t const leaf = get(root, 0);
  std::uint64_t n = 0;
  watched.before_write = [&](std::uint64_t address) {
    if (address == root) put(root, 0, leaf | (++n % 2 + 1) << 52);  // ignored bits
  };
  EXPECT_EQ(unmap(*table, {0, 0xfff}), EFAULT);
  EXPECT_LT(n, 10000u);
}

TEST_F(ForeignPageTable, EntriesThatSkipLevelsAreFollowed) {
  AmdV1 const format(amd);
  std::uint64_t const low = PlainMemory::base + 0x200000, item = std::uint64_t{3} << 39;
  put(root, 3, format.table(low, 1));  // from level 3 to level 0
  auto const table = open(amd, memory);
  Range const page{item + 0x5000, item + 0x5fff};
  ASSERT_EQ(map(*table, page), 0) << "the table is there";
  EXPECT_NE(get(low, 5), 0u);
  EXPECT_EQ(map(*table, page), EEXIST);
  EXPECT_EQ(map(*table, {item + bit(21), item + bit(21) + 0xfff}), ENOTSUP) << "there is no table for these";
  EXPECT_EQ(leaves(*table), std::vector<Range>{page});

  EXPECT_TRUE(table->walk(page.start, Access::writing(), Update::yes).ok());
  std::vector<Range> dirty;
  EXPECT_TRUE(table->read_flags(Flag::dirty, {0, low_bits(48)}, Clear::yes, [&](Range range) { dirty.push_back(range); }));
  EXPECT_EQ(dirty, std::vector<Range>{page});

  ASSERT_EQ(map(*table, {item + 0x10000, item + 0x1ffff}), 0);
  ASSERT_EQ(unmap(*table, {item + 0x18000, item + 0x18fff}), 0) << "a run is split";
  EXPECT_EQ(leaves(*table).size(), 1u + 15);
  Gather gather;
  auto const bytes = table->unmap({item, item + low_bits(39)}, Cut::refuse, gather);
  gather.finish();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, 16u * 4096);
  EXPECT_EQ(get(root, 3), 0u);
}

TEST_F(ForeignPageTable, PartsOfATableThatAreLeftOutAreNeitherReadNorWritten) {
  S390Zpci const format(s390);
  std::uint64_t const middle = PlainMemory::base + 0x204000, low = PlainMemory::base + 0x300000;
  for (std::uint64_t i = 0; i < 2048; i++) put(root, i, format.empty(2), true);
  put(root, 0, (format.table(middle, 2) & ~std::uint64_t{0xc3}) | 1 << 6 | 1, true);  // quarter 1 only
  for (std::uint64_t i = 0; i < 2048; i++) put(middle, i, i / 512 == 1 ? format.empty(1) : format.table(low, 1), true);
  for (std::uint64_t i = 0; i < 256; i++) put(low, i, format.leaf(0x5000, 0, 12, both), true);
  auto const table = open(s390, memory, true, true);
  EXPECT_TRUE(leaves(*table).empty());
  EXPECT_EQ(map(*table, {0, 0xfff}), ENOTSUP);
  EXPECT_EQ(map(*table, {bit(29) - 0x1000, bit(29) + 0xfff}), ENOTSUP);
  std::uint64_t const before = memory.tables_in_use;
  ASSERT_EQ(map(*table, {bit(29), bit(29) + 0xfff}), 0);
  EXPECT_EQ(leaves(*table), (std::vector<Range>{{bit(29), bit(29) + 0xfff}}));
  Gather gather;
  auto const bytes = table->unmap({0, low_bits(31)}, Cut::refuse, gather);
  gather.finish();
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, 4096u);
  EXPECT_EQ(memory.tables_in_use, before - 1) << "the page table and the partial one went back to the source";
}

TEST_F(ForeignPageTable, RefusesConfigurationsThatTheFormatDoesNotHave) {
  for (FormatConfiguration const& bad : {FormatConfiguration{.format = FormatName::vtd_second_stage, .levels = 2},
                                         {.format = FormatName::amd_v1, .levels = 7},
                                         {.format = FormatName::s390_zpci, .levels = 1},
                                         {.format = FormatName::arm_stage1, .granule_lg2 = 13},
                                         {.format = static_cast<FormatName>(99)}}) {
    auto const opened = PageTable::open({.format = bad, .root = root}, memory);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, EINVAL);
    auto const made = PageTable::create(bad, *TableAllocator::create(std::uint64_t{2} << 20));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, EINVAL);
  }
}

TEST_F(ForeignPageTable, IsMadeInTheUsersMemoryOrNotAtAll) {
  // Whatever fails, what was taken from the source goes back with the size it was taken with.
  struct Balanced final : UserTableSource {
    explicit Balanced(PlainMemory& m) : memory(m) {}
    Result<std::uint64_t> allocate(unsigned size_lg2) override {
      auto table = memory.allocate(size_lg2);
      if (table) bytes += bit(size_lg2);
      return table;
    }
    void release(std::uint64_t table, unsigned size_lg2) override {
      bytes -= bit(size_lg2);
      memory.release(table, size_lg2);
    }
    PlainMemory& memory;
    std::uint64_t bytes = 0;
  } source(memory);
  FormatConfiguration const wide{.format = FormatName::arm_stage2, .granule_lg2 = 12, .input_bits = 42};
  for (std::uint64_t n = 0;; n++) {
    Result<std::unique_ptr<PageTable>> made;
    {
      FailingNew const failing(n);
      made = PageTable::create_user({.format = wide}, memory, source);
    }
    if (!made) {
      EXPECT_EQ(made.error().code, ENOMEM);
      ASSERT_EQ(source.bytes, 0u) << "operator new " << n;
      continue;
    }
    EXPECT_EQ(source.bytes, std::uint64_t{8} * 4096) << "eight roots";
    EXPECT_TRUE(is_aligned((*made)->root(), 15));
    EXPECT_EQ(map(**made, {0, 0xfff}), 0);
    break;
  }
  memory.read_only = true;
  auto const refused = PageTable::create_user({.format = wide}, memory, source);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EFAULT);
}

TEST_F(ForeignPageTable, NamesTheBitsOfAWord) {
  EXPECT_EQ(open(vtd, memory)->describe(0x803), "SNP W R");
  EXPECT_EQ(open(vtd, memory)->describe(0), "");
}

}  // namespace
}  // namespace swiommu
