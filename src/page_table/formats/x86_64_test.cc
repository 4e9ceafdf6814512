#include "page_table/formats/x86_64.h"

#include <gtest/gtest.h>

#include "page_table/word_map.h"

namespace swiommu {
namespace {

constexpr X86_64 plain{FormatConfiguration{}};
constexpr Attributes read_write{.access = Access::both()};
constexpr Attributes read_only{.access = Access::reading()};

static_assert(plain.leaf(0x144c49000, 0, 12, read_write) == 0x144c49067);
static_assert(plain.leaf(0x144200000, 1, 21, read_write) == 0x1442000e7);
static_assert(plain.leaf(0x144c49000, 0, 12, read_only) == 0x144c49025);
static_assert(plain.table(0x14605f000, 1) == 0x14605f027);
static_assert(X86_64(FormatConfiguration{.dirty_updates = true}).leaf(0x1000, 0, 12, read_write) == 0x1027);
static_assert(page_sizes(plain) == (bit(12) | bit(21) | bit(30)));
static_assert(plain.geometry().contains(0x7fffffffffff) && plain.geometry().contains(0xffff800000000000));
static_assert(!plain.geometry().contains(0x800000000000) && !plain.geometry().contains(0xffff7fffffffffff));

TEST(X86_64, LeavesOfAllSizesAndAttributesComeBackAsTheyWereWritten) {
  for (unsigned level : {0u, 1u, 2u})
    for (Access access : {Access::reading(), Access::both(), Access{}})
      for (MemoryType memory : {MemoryType::normal, MemoryType::noncacheable, MemoryType::device})
        for (bool dirty_updates : {false, true}) {
          X86_64 const f(FormatConfiguration{.dirty_updates = dirty_updates});
          Attributes const attributes{.access = access, .memory = memory};
          unsigned const size = 12 + 9 * level;
          std::uint64_t const address = bit_span(51, size) & 0x000a5a5a5a5a5000;
          auto const e = f.leaf(address, level, size, attributes);
          ASSERT_EQ(f.kind(e, level), EntryKind::leaf);
          EXPECT_EQ(f.leaf_address(e, level, 0), address);
          EXPECT_EQ(f.leaf_size_lg2(e, level, 0), size);
          EXPECT_EQ(f.attributes(e, level), attributes);
          EXPECT_TRUE(f.is_accessed(e));
          EXPECT_EQ(f.is_dirty(e), access.write && !dirty_updates);
        }
}

TEST(X86_64, WhatCanBeWrittenCanBeRead) {
  EXPECT_EQ(plain.attributes(plain.leaf(0x1000, 0, 12, {.access = Access::writing()}), 0).access, Access::both());
}

TEST(X86_64, TheUsualPatGivesTheMemoryType) {
  for (unsigned level : {0u, 1u}) {
    std::uint64_t const pat = level ? bit(12) | bit(7) : bit(7), leaf = level ? 0x87 : 0x07;
    for (std::uint64_t upper : {std::uint64_t{0}, pat}) {
      EXPECT_EQ(plain.attributes(leaf | upper, level).memory, MemoryType::normal);
      EXPECT_EQ(plain.attributes(leaf | upper | bit(3), level).memory, MemoryType::normal);
      EXPECT_EQ(plain.attributes(leaf | upper | bit(4), level).memory, MemoryType::noncacheable);
      EXPECT_EQ(plain.attributes(leaf | upper | bit(3) | bit(4), level).memory, MemoryType::device);
      EXPECT_EQ(plain.leaf_address(leaf | upper, level, 0), 0u);
    }
  }
}

TEST(X86_64, ChecksExactlyTheReservedBits) {
  X86_64 const narrow(FormatConfiguration{.levels = 5, .output_bits = 39});
  for (unsigned level = 0; level < 5; level++)
    for (bool leaf : {false, true}) {
      if (leaf ? level > 2 : level == 0) continue;
      std::uint64_t reserved = bit_span(51, 39);
      if (!leaf && level > 2) reserved |= bit(7);
      if (leaf && level == 1) reserved |= bit_span(20, 13);
      if (leaf && level == 2) reserved |= bit_span(29, 13);
      std::uint64_t const e = leaf && level ? 0x87 : 0x07;
      for (unsigned b = 1; b < 64; b++) {
        if (b == 7 && level != 0 && level <= 2) continue;  // makes one kind the other
        bool const refused = narrow.kind(e | bit(b), level) == EntryKind::malformed;
        EXPECT_EQ(refused, (reserved & bit(b)) != 0) << level << leaf << " bit " << b;
      }
      EXPECT_EQ(narrow.kind(~std::uint64_t{1}, level), EntryKind::empty);
    }
}

TEST(X86_64, RefusesConfigurationsThatItHasNot) {
  for (unsigned levels : {0u, 4u, 5u}) EXPECT_TRUE(X86_64::check({.levels = levels}));
  for (unsigned levels : {1u, 2u, 3u, 6u}) EXPECT_FALSE(X86_64::check({.levels = levels}));
  for (unsigned bits : {1u, 31u, 53u}) EXPECT_FALSE(X86_64::check({.output_bits = bits}));
}

// Four levels: 0x1000, 0x2000, 0x3000, 0x4000; 0x5000 is a page, 0x200000 a large page.
struct SmallTable {
  WordMap words;
  SmallTable() {
    for (std::uint64_t table = 0x1000; table <= 0x4000; table += 0x1000) words.add_table(table, 512, 0);
    words.put(0x1000, 0, 0x2227);
    words.put(0x2000, 0, 0x3227);
    words.put(0x3000, 0, 0x4227);
    words.put(0x3000, 1, 0x1442000e7);
    words.put(0x4000, 5, 0x77067);
  }
  Walk walk(std::uint64_t input, Access access, X86_64 const& format = plain, Update update = Update::no) {
    return Walker(format).walk(words, 0x1000, input, access, update);
  }
  Reason reason(std::uint64_t input, Access access) { return walk(input, access).reason; }
};

TEST(X86_64, WalksToSmallAndLargeLeaves) {
  SmallTable t;
  EXPECT_EQ(t.walk(0x5123, Access::both()).output, 0x77123u);
  EXPECT_EQ(t.walk(0x2abcde, Access::both()).output, 0x1442abcdeu);
  EXPECT_EQ(t.reason(0x6000, Access::reading()), Reason::not_mapped);
  for (std::uint64_t input : {0x1000000000000u, 0x900000000000u, 0xffff700000000000u})
    EXPECT_EQ(t.reason(input, Access::reading()), Reason::out_of_range);
  t.words.put(0x1000, 256, 0x2227);
  EXPECT_EQ(t.walk(0xffff800000005123, Access::both()).output, 0x77123u);
}

TEST(X86_64, AnEntryThatIsNotPresentMapsNothingAtAnyLevel) {
  for (auto [table, word] : {std::pair{0x4000u, 0x77066u}, {0x3000u, 0x4226u}, {0x2000u, 0x3226u}, {0x1000u, 0x2226u}}) {
    SmallTable t;
    t.words.put(table, table == 0x4000 ? 5 : 0, word);
    EXPECT_EQ(t.reason(0x5000, Access::reading()), Reason::not_mapped);
    EXPECT_EQ(t.reason(0x5000, Access::writing()), Reason::not_mapped);
  }
}

TEST(X86_64, ReadOnlyAtAnyLevelRefusesWrites) {
  for (auto [table, word] : {std::pair{0x4000u, 0x77065u}, {0x3000u, 0x4225u}, {0x2000u, 0x3225u}, {0x1000u, 0x2225u}}) {
    SmallTable t;
    t.words.put(table, table == 0x4000 ? 5 : 0, word);
    EXPECT_EQ(t.walk(0x5000, Access::reading()).output, 0x77000u);
    EXPECT_EQ(t.reason(0x5000, Access::writing()), Reason::permission);
  }
}

TEST(X86_64, SupervisorAtAnyLevelRefusesEverything) {
  for (auto [table, word] : {std::pair{0x4000u, 0x77063u}, {0x3000u, 0x4223u}, {0x2000u, 0x3223u}, {0x1000u, 0x2223u}}) {
    SmallTable t;
    t.words.put(table, table == 0x4000 ? 5 : 0, word);
    EXPECT_EQ(t.reason(0x5000, Access::reading()), Reason::permission);
    EXPECT_EQ(t.reason(0x5000, Access::writing()), Reason::permission);
  }
}

TEST(X86_64, PageSizeInTheTopEntryIsMalformed) {
  SmallTable t;
  t.words.put(0x1000, 0, 0x22a7);
  EXPECT_EQ(t.reason(0x5000, Access::reading()), Reason::malformed);
}

TEST(X86_64, TablesOutsideMemoryAreUnreachableAndOutputsOutsideAreNot) {
  SmallTable t;
  t.words.put(0x3000, 2, 0x70000000227);
  t.words.put(0x4000, 6, 0x70000000067);
  EXPECT_EQ(t.reason(0x400000, Access::reading()), Reason::table_unreachable);
  EXPECT_EQ(t.walk(0x6004, Access::reading()).output, 0x70000000004u);
  t.words.put(0x1000, 1, 0x70000000227);
  Walk const w = t.walk(bit(39), Access::reading());
  EXPECT_EQ(w.reason, Reason::table_unreachable);
  EXPECT_EQ(w.level, 2);
}

TEST(X86_64, AnEntryThatPointsToItsOwnTableEndsAfterTheLevels) {
  SmallTable t;
  t.words.put(0x1000, 2, 0x1067);
  Walk const w = t.walk(0x10080402018, Access::reading());  // index 2 at each level
  EXPECT_EQ(w.output, 0x1018u);
  EXPECT_EQ(t.words.loads, 4u);
  EXPECT_EQ(t.reason(0x10080404000, Access::reading()), Reason::not_mapped);
  EXPECT_EQ(t.walk(0x5000, Access::reading()).output, 0x77000u);
}

TEST(X86_64, AMisalignedLargeLeafIsMalformed) {
  SmallTable t;
  t.words.put(0x3000, 1, 0x1442020e7);
  EXPECT_EQ(t.reason(0x200000, Access::reading()), Reason::malformed);
  t.words.put(0x3000, 1, 0x1442010e7);  // bit 12 is PAT
  EXPECT_EQ(t.walk(0x200010, Access::reading()).output, 0x144200010u);
}

TEST(X86_64, ALargeLeafWithoutItsPageSizeBitIsReadAsATable) {
  SmallTable t;
  t.words.add_table(0x144200000, 512, 0);
  t.words.put(0x3000, 1, 0x144200067);
  EXPECT_EQ(t.reason(0x3ff000, Access::reading()), Reason::not_mapped);
}

TEST(X86_64, SetsAccessedOnThePathAndDirtyInTheLeafAsConfigured) {
  SmallTable t;
  t.words.put(0x1000, 0, 0x2007);
  t.words.put(0x2000, 0, 0x3007);
  t.words.put(0x3000, 0, 0x4007);
  t.words.put(0x3000, 1, 0x200087);
  t.words.put(0x4000, 5, 0x77007);
  ASSERT_TRUE(t.walk(0x5000, Access::writing(), plain, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x4000, 5), 0x77007u);

  X86_64 const accessed(FormatConfiguration{.accessed_updates = true});
  EXPECT_TRUE(accessed.tracks_accessed() && !accessed.tracks_dirty());
  ASSERT_TRUE(t.walk(0x5000, Access::writing(), accessed, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x1000, 0), 0x2027u);
  EXPECT_EQ(t.words.at(0x3000, 0), 0x4027u);
  EXPECT_EQ(t.words.at(0x4000, 5), 0x77027u);

  X86_64 const dirty(FormatConfiguration{.dirty_updates = true});
  EXPECT_TRUE(dirty.tracks_accessed() && dirty.tracks_dirty());
  ASSERT_TRUE(t.walk(0x5000, Access::reading(), dirty, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x4000, 5), 0x77027u);
  ASSERT_TRUE(t.walk(0x5000, Access::writing(), dirty, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x4000, 5), 0x77067u);
  EXPECT_EQ(t.words.at(0x3000, 0), 0x4027u);
  ASSERT_TRUE(t.walk(0x200000, Access::writing(), dirty, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x3000, 1), 0x2000e7u);
}

TEST(X86_64, ARefusedAccessLeavesNoTrace) {
  SmallTable t;
  t.words.put(0x4000, 5, 0x77005);
  X86_64 const dirty(FormatConfiguration{.dirty_updates = true});
  EXPECT_EQ(t.walk(0x5000, Access::writing(), dirty, Update::yes).reason, Reason::permission);
  EXPECT_EQ(t.words.at(0x4000, 5), 0x77005u);
}

TEST(X86_64, WithoutASignTheLowerHalfIsAllThereIs) {
  X86_64 const four(FormatConfiguration{.zero_extended = true}), five(FormatConfiguration{.levels = 5, .zero_extended = true});
  EXPECT_EQ(four.geometry().input_bits(), 47u);
  EXPECT_EQ(five.geometry().input_bits(), 56u);
  SmallTable t;
  t.words.put(0x1000, 255, 0x2227);
  t.words.put(0x1000, 256, 0x2227);
  EXPECT_EQ(t.walk(0x7f8000005000, Access::reading(), four).output, 0x77000u);
  EXPECT_EQ(t.walk(0x800000005000, Access::reading(), four).reason, Reason::out_of_range);
  EXPECT_EQ(t.walk(0xffff800000005000, Access::reading(), four).reason, Reason::out_of_range);
}

TEST(X86_64, FiveLevelsTakeFiftySevenBitsWithASign) {
  X86_64 const five(FormatConfiguration{.levels = 5});
  SmallTable t;
  t.words.add_table(0x8000, 512, 0);
  t.words.put(0x8000, 256, 0x1227);
  EXPECT_EQ(Walker(five).walk(t.words, 0x8000, 0xff00000000005008, Access::both()).output, 0x77008u);
  EXPECT_EQ(Walker(five).walk(t.words, 0x8000, 0x0100000000005008, Access::both()).reason, Reason::out_of_range);
}

}  // namespace
}  // namespace swiommu
