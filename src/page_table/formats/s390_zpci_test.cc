#include "page_table/formats/s390_zpci.h"

#include <gtest/gtest.h>

#include "page_table/word_map.h"

namespace swiommu {
namespace {

constexpr S390Zpci plain{FormatConfiguration{}};
constexpr S390Zpci region_first{FormatConfiguration{.levels = 5}};
constexpr Attributes read_write{.access = Access::both()};
constexpr Attributes read_only{.access = Access::reading()};

static_assert(plain.empty(0) == 0x400 && plain.empty(1) == 0x20 && plain.empty(4) == 0x20);
static_assert(plain.leaf(0x3ffd6000, 0, 12, read_write) == 0x3ffd6000 && plain.leaf(0x3ffd6000, 0, 12, read_only) == 0x3ffd6200);
static_assert(plain.table(0x39e3800, 1) == 0x39e3800 && plain.table(0x39cc000, 2) == 0x39cc007);
static_assert(plain.table(0x4000, 3) == 0x400b && plain.table(0x4000, 4) == 0x400f);
static_assert(page_sizes(region_first) == bit(12));
static_assert(S390Zpci(FormatConfiguration{.levels = 2}).geometry().input_bits() == 31);
static_assert(plain.geometry().input_bits() == 42);
static_assert(S390Zpci(FormatConfiguration{.levels = 4}).geometry().input_bits() == 53);
static_assert(region_first.geometry().input_bits() == 64);

TEST(S390Zpci, LeavesComeBackAsTheyWereWritten) {
  for (std::uint64_t address : {std::uint64_t{0}, std::uint64_t{0x1000}, std::uint64_t{0x3ffd6000}, ~std::uint64_t{0xfff}})
    for (Attributes const& attributes : {read_only, read_write}) {
      auto const e = plain.leaf(address, 0, 12, attributes);
      ASSERT_EQ(plain.kind(e, 0), EntryKind::leaf);
      EXPECT_EQ(plain.leaf_address(e, 0, 0), address);
      EXPECT_EQ(plain.leaf_size_lg2(e, 0, 0), 12u);
      EXPECT_EQ(plain.attributes(e, 0), attributes);
    }
}

TEST(S390Zpci, TablesComeBackAsTheyWereWritten) {
  for (unsigned level = 1; level < 5; level++)
    for (std::uint64_t address : {std::uint64_t{0x4000}, std::uint64_t{0xffffffffffffc000}}) {
      auto const e = region_first.table(address, level);
      ASSERT_EQ(region_first.kind(e, level), EntryKind::table);
      EXPECT_EQ(region_first.table_address(e, level), address);
      EXPECT_EQ(region_first.table_rights(e, level), Access::both());
      EXPECT_EQ(region_first.held_items(e, level), (Range{0, level == 1 ? 255u : 2047u}));
    }
  EXPECT_EQ(plain.table_address(plain.table(0x39e3800, 1), 1), 0x39e3800u);
}

TEST(S390Zpci, TheTypeMustBeThatOfTheTable) {
  for (unsigned level = 1; level < 5; level++)
    for (unsigned type = 0; type < 4; type++) {
      std::uint64_t const e = 0x8003 | type << 2;
      EXPECT_EQ(region_first.kind(e, level), type == level - 1 ? EntryKind::table : EntryKind::malformed);
      if (type != level - 1) {
        EXPECT_EQ(region_first.reason(e, level), Reason::malformed);
      }
      EXPECT_EQ(region_first.kind(e | 0x20, level), EntryKind::empty);  // invalid comes first
    }
}

TEST(S390Zpci, OtherBitsOfAnEntryAreIgnored) {
  for (unsigned b : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 11u})
    EXPECT_EQ(plain.kind(0x5000 | bit(b), 0), EntryKind::leaf) << b;
  EXPECT_EQ(plain.kind(0x5400, 0), EntryKind::empty);
  for (unsigned b : {0u, 1u, 4u, 6u, 7u, 8u, 9u}) EXPECT_EQ(plain.kind(0x8000 | bit(b), 1), EntryKind::table) << b;
  for (unsigned b : {4u, 8u, 9u, 10u, 11u, 12u, 13u}) {
    EXPECT_EQ(plain.kind(0x8007 | bit(b), 2), EntryKind::table) << b;
    EXPECT_EQ(plain.table_address(0x8007 | bit(b), 2), 0x8000u) << b;
  }
}

TEST(S390Zpci, AnAllZeroTableEntryIsMalformed) {
  for (unsigned level = 1; level < 5; level++) EXPECT_EQ(region_first.kind(0, level), EntryKind::malformed);
}

TEST(S390Zpci, AddressesBeyondTheConfiguredOutputAreRefused) {
  S390Zpci const narrow(FormatConfiguration{.output_bits = 40});
  EXPECT_EQ(narrow.kind(bit(39), 0), EntryKind::leaf);
  for (unsigned b = 40; b < 64; b++) {
    EXPECT_EQ(narrow.kind(bit(b), 0), EntryKind::malformed);
    EXPECT_EQ(narrow.kind(bit(b) | 7, 2), EntryKind::malformed);
    EXPECT_EQ(narrow.reason(bit(b), 0), Reason::address_size);
    EXPECT_EQ(plain.kind(bit(b), 0), EntryKind::leaf);
  }
}

TEST(S390Zpci, RefusesConfigurationsThatItHasNot) {
  for (unsigned levels : {0u, 2u, 3u, 4u, 5u}) EXPECT_TRUE(S390Zpci::check({.levels = levels}));
  for (unsigned levels : {1u, 6u}) EXPECT_FALSE(S390Zpci::check({.levels = levels}));
  for (unsigned bits : {1u, 31u, 65u}) EXPECT_FALSE(S390Zpci::check({.output_bits = bits}));
}

// Region-third 0x10000, segment 0x14000, page 0x1000: 0x16afc2000 is a page, as Linux writes it.
struct SmallTable {
  static constexpr std::uint64_t page = 0x16afc2000, region = 2, segment = 0x6af, item = 0xc2;
  WordMap words;
  SmallTable() {
    words.add_table(0x10000, 2048, 0x20);
    words.add_table(0x14000, 2048, 0x20);
    words.add_table(0x1000, 256, 0x400);
    words.put(0x10000, region, 0x14007);
    words.put(0x14000, segment, 0x1000);
    words.put(0x1000, item, 0x3ffd6000);
    words.put(0x1000, item + 1, 0x3ff74000);
  }
  Walk walk(std::uint64_t input, Access access) { return Walker(plain).walk(words, 0x10000, input, access); }
  Reason reason(Access access = Access::reading()) { return walk(page, access).reason; }
};

TEST(S390Zpci, WalksToPages) {
  SmallTable t;
  EXPECT_EQ(t.walk(SmallTable::page + 8, Access::both()).output, 0x3ffd6008u);
  EXPECT_EQ(t.walk(SmallTable::page + 0x1010, Access::both()).output, 0x3ff74010u);
  EXPECT_EQ(t.walk(SmallTable::page + 0x2000, Access::reading()).reason, Reason::not_mapped);
  EXPECT_EQ(t.walk(bit(42), Access::reading()).reason, Reason::out_of_range);
  EXPECT_EQ(t.walk(bit(63), Access::writing()).reason, Reason::out_of_range);
}

TEST(S390Zpci, InvalidAtAnyLevelMapsNothing) {
  for (auto [table, index, word] : {std::tuple{0x1000, SmallTable::item, 0x3ffd6400u},
                                    {0x14000, SmallTable::segment, 0x1020u},
                                    {0x10000, SmallTable::region, 0x14027u}}) {
    SmallTable t;
    t.words.put(table, index, word);
    EXPECT_EQ(t.reason(), Reason::not_mapped);
  }
}

TEST(S390Zpci, ProtectedAtAnyLevelRefusesWritesOnly) {
  for (auto [table, index, word] : {std::tuple{0x1000, SmallTable::item, 0x3ffd6200u},
                                    {0x14000, SmallTable::segment, 0x1200u},
                                    {0x10000, SmallTable::region, 0x14207u}}) {
    SmallTable t;
    t.words.put(table, index, word);
    EXPECT_EQ(t.walk(SmallTable::page, Access::reading()).output, 0x3ffd6000u);
    EXPECT_EQ(t.reason(Access::writing()), Reason::permission);
  }
}

TEST(S390Zpci, AWrongTypeIsMalformed) {
  SmallTable segment;
  segment.words.put(0x14000, SmallTable::segment, 0x1004);
  EXPECT_EQ(segment.reason(), Reason::malformed);
  for (std::uint64_t word : {0x14003u, 0x1400bu}) {
    SmallTable region;
    region.words.put(0x10000, SmallTable::region, word);
    EXPECT_EQ(region.reason(), Reason::malformed);
  }
}

TEST(S390Zpci, TablesOutsideMemoryAreUnreachableAndOutputsOutsideAreNot) {
  SmallTable t;
  t.words.put(0x1000, SmallTable::item, 0x70000000000);
  EXPECT_EQ(t.walk(SmallTable::page + 4, Access::reading()).output, 0x70000000004u);
  t.words.put(0x14000, SmallTable::segment, 0x70000000000);
  EXPECT_EQ(t.reason(), Reason::table_unreachable);
  t.words.put(0x10000, SmallTable::region, 0x70000000007);
  EXPECT_EQ(t.reason(), Reason::table_unreachable);
}

TEST(S390Zpci, ARegionTableIsNoSegmentTable) {
  SmallTable t;
  t.words.put(0x10000, 1, 0x10007);
  Walk const w = t.walk(0x80200000, Access::reading());  // region 1, segment 2: the region entry of the page above
  EXPECT_EQ(w.reason, Reason::malformed);
  EXPECT_EQ(w.level, 1);
  EXPECT_TRUE(t.walk(SmallTable::page, Access::reading()).ok());
}

TEST(S390Zpci, OffsetAndLengthSayWhichItemsTheNextTableHas) {
  for (unsigned offset = 0; offset < 4; offset++)
    for (unsigned length = 0; length < 4; length++) {
      SmallTable t;
      t.words.put(0x10000, SmallTable::region, 0x14004 | offset << 6 | length);
      for (std::uint64_t index : {0u, 511u, 512u, 1023u, 1024u, 1535u, 1536u, 2047u}) {
        t.words.put(0x14000, index, 0x1000);
        bool const held = index >= offset * 512 && index <= length * 512 + 511;
        std::uint64_t const input = SmallTable::region << 31 | index << 20 | SmallTable::item << 12;
        unsigned const before = t.words.loads;
        EXPECT_EQ(t.walk(input, Access::reading()).reason, held ? Reason::none : Reason::not_mapped)
            << offset << length << " " << index;
        EXPECT_EQ(t.words.loads - before, held ? 3u : 1u);
      }
    }
}

TEST(S390Zpci, SegmentEntriesHaveNoOffsetAndLength) {
  SmallTable t;
  t.words.put(0x14000, SmallTable::segment, 0x10c0);
  EXPECT_TRUE(t.walk(SmallTable::page, Access::reading()).ok());
}

TEST(S390Zpci, ALargeSegmentIsOneMebibyte) {
  SmallTable t;
  t.words.put(0x14000, SmallTable::segment, 0x12345678400);
  Walk const w = t.walk(SmallTable::page + 0x123, Access::both());
  EXPECT_TRUE(w.ok());
  EXPECT_EQ(w.output, 0x12345600000 | 0xc2123u);
  EXPECT_EQ(w.size_lg2, 20);
  t.words.put(0x14000, SmallTable::segment, 0x12345678600);
  EXPECT_EQ(t.reason(Access::writing()), Reason::permission);
}

TEST(S390Zpci, ARegionFirstTableTakesAllSixtyFourBits) {
  WordMap words;
  for (std::uint64_t table : {0x10000u, 0x14000u, 0x18000u, 0x1c000u}) words.add_table(table, 2048, 0x20);
  words.add_table(0x1800, 256, 0x400);
  words.put(0x10000, 2047, 0x1400f);
  words.put(0x14000, 2047, 0x1800b);
  words.put(0x18000, 2047, 0x1c007);
  words.put(0x1c000, 2047, 0x1800);
  words.put(0x1800, 255, 0xfffffffffffff000);
  auto const walk = [&](std::uint64_t input) { return Walker(region_first).walk(words, 0x10000, input, Access::both()); };
  EXPECT_EQ(walk(~std::uint64_t{0}).output, ~std::uint64_t{0});
  EXPECT_EQ(walk(bit(63)).reason, Reason::not_mapped);
  EXPECT_EQ(walk(0).reason, Reason::not_mapped);
  EXPECT_EQ(walk(~bit(42)).level, 3);  // the region-second index differs
}

TEST(S390Zpci, ASegmentTableRootTakesThirtyOneBits) {
  S390Zpci const two(FormatConfiguration{.levels = 2});
  SmallTable t;
  EXPECT_EQ(Walker(two).walk(t.words, 0x14000, SmallTable::page & low_bits(31), Access::both()).output, 0x3ffd6000u);
  EXPECT_EQ(Walker(two).walk(t.words, 0x14000, bit(31), Access::both()).reason, Reason::out_of_range);
}

}  // namespace
}  // namespace swiommu
