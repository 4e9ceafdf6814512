#include "page_table/formats/amd_v1.h"

#include <gtest/gtest.h>

#include "page_table/word_map.h"

namespace swiommu {
namespace {

constexpr AmdV1 plain{FormatConfiguration{}};
constexpr AmdV1 six{FormatConfiguration{.levels = 6}};
constexpr Attributes read_write{.access = Access::both()};
constexpr std::uint64_t both = bit(61) | bit(62);

static_assert(plain.leaf(0x1234000, 0, 12, read_write) == (0x1234001 | both));
static_assert(plain.leaf(0x40000000, 2, 30, read_write) == (0x40000001 | both));
static_assert(plain.leaf(0x1233000, 0, 13, read_write) == (0x1232e01 | both));      // 8 KiB: no one, bit 12 is 0
static_assert(plain.leaf(0x1230000, 0, 16, read_write) == (0x1237e01 | both));      // 64 KiB: bits 14:12 are ones
static_assert(plain.leaf(0x1239000, 0, 16, read_write) == (0x1237e01 | both));      // the same in each item of the run
static_assert(plain.leaf(0x40000000, 1, 22, read_write) == (0x401ffe01 | both));    // 4 MiB: bits 20:12
static_assert(plain.leaf(0x100000000, 2, 32, read_write) == (0x17ffffe01 | both));  // 4 GiB: bits 30:12
static_assert(plain.table(0x5000, 3) == (0x5601 | both) && plain.next_level(plain.table(0x5000, 3), 3) == 2);
static_assert(six.geometry().input_bits() == 64 && six.geometry().level[5] == LevelShape{.shift = 57, .index_bits = 7});

// Size of what an encoded address says: the first zero bit from 12 up, and one more.
constexpr std::uint64_t encoded(std::uint64_t address) { return address | 0xe01 | both; }

TEST(AmdV1, WritesEachPowerOfTwoExceptThoseThatHardwareGetsWrong) {
  EXPECT_EQ(page_sizes(six), bit_span(51, 12) & ~bit(39));
  EXPECT_EQ(plain.leaf_sizes(0), bit_span(20, 12));
  EXPECT_EQ(plain.leaf_sizes(2), bit_span(38, 30));
  EXPECT_EQ(plain.leaf_sizes(3), bit_span(47, 40));
  EXPECT_EQ(six.leaf_sizes(4), bit_span(51, 48));
  EXPECT_EQ(six.leaf_sizes(5), 0u);
  EXPECT_EQ(AmdV1(FormatConfiguration{.output_bits = 40}).leaf_sizes(3), bit(40));
}

TEST(AmdV1, LeavesOfAllSizesAndAttributesComeBackFromEveryItemOfTheRun) {
  for (unsigned level = 0; level < 5; level++)
    for (unsigned size = 12; size <= 51; size++) {
      if ((six.leaf_sizes(level) >> size & 1) == 0) continue;
      for (Access access : {Access::reading(), Access::writing(), Access::both(), Access{}})
        for (bool coherent : {false, true}) {
          Attributes const attributes{.access = access, .coherent = coherent};
          std::uint64_t const address = bit_span(51, size) & 0x000a5a5a5a5a5000;
          auto const e = six.leaf(address, level, size, attributes);
          ASSERT_EQ(six.kind(e, level), EntryKind::leaf) << level << " " << size;
          EXPECT_EQ(six.leaf_size_lg2(e, level, 0), size);
          EXPECT_EQ(six.leaf_address(e, level, 0), address);
          EXPECT_EQ(six.attributes(e, level), attributes);
          if (size > 12 + 9 * level) {
            EXPECT_EQ(six.leaf(address + bit(size) - bit(12 + 9 * level), level, size, attributes), e);
          }
        }
    }
}

TEST(AmdV1, EncodedSizesBelongToOneLevel) {
  for (unsigned size = 13; size <= 53; size++) {
    std::uint64_t const e = encoded(low_bits(size - 1) & bit_span(51, 12));
    for (unsigned level = 0; level < 6; level++) {
      unsigned const own = 12 + 9 * level;
      bool const belongs = level < 5 && size > own && size < own + 9 && size <= 52;
      EXPECT_EQ(six.kind(e, level), belongs ? EntryKind::leaf : EntryKind::malformed) << size << " at level " << level;
      if (!belongs) {
        EXPECT_EQ(six.reason(e, level), Reason::malformed);
      }
    }
  }
}

TEST(AmdV1, LeavesOf512GiBAreUnderstood) {
  std::uint64_t const e = bit(39) * 3 | 1 | both;
  EXPECT_EQ(plain.kind(e, 3), EntryKind::leaf);
  EXPECT_EQ(plain.leaf_size_lg2(e, 3, 0), 39u);
  EXPECT_EQ(plain.leaf_address(e, 3, 0), bit(39) * 3);
}

TEST(AmdV1, NextLevelMustBeBelowTheLevelOfTheTable) {
  for (unsigned level = 0; level < 6; level++)
    for (unsigned next = 0; next < 8; next++) {
      if (next == 7) continue;
      EntryKind const expected = next == 0 ? (level < 5 ? EntryKind::leaf : EntryKind::malformed)
                                           : (next <= level ? EntryKind::table : EntryKind::malformed);
      std::uint64_t const e = 0x5001 | std::uint64_t{next} << 9 | both;
      EXPECT_EQ(six.kind(e, level), expected) << level << " " << next;
      if (expected == EntryKind::table) {
        EXPECT_EQ(six.next_level(e, level), next - 1);
      }
    }
}

TEST(AmdV1, ChecksExactlyTheReservedBits) {
  AmdV1 const narrow(FormatConfiguration{.levels = 6, .output_bits = 48});
  for (unsigned level = 0; level < 6; level++)
    for (bool leaf : {false, true}) {
      if (leaf ? level > 4 : level == 0) continue;
      std::uint64_t const e = leaf ? 1 : 0x201;
      for (unsigned b = 1; b < 64; b++) {
        if (b >= 9 && b <= 11) continue;  // NextLevel
        bool const reserved = leaf ? b >= 52 && b <= 58 : b >= 52 && b <= 60, beyond = b >= 48 && b <= 51;
        EXPECT_EQ(narrow.kind(e | bit(b), level) == EntryKind::malformed, reserved || beyond) << level << leaf << " bit " << b;
        if (reserved || beyond) {
          EXPECT_EQ(narrow.reason(e | bit(b), level), beyond ? Reason::address_size : Reason::malformed);
        }
      }
      EXPECT_EQ(narrow.kind(~std::uint64_t{1}, level), EntryKind::empty);
    }
}

TEST(AmdV1, OnesThatEncodeASizeAreNoAddress) {
  AmdV1 const narrow(FormatConfiguration{.output_bits = 40});
  std::uint64_t const whole = encoded(bit_span(38, 12));  // 2^40 bytes at 0
  EXPECT_EQ(narrow.kind(whole, 3), EntryKind::leaf);
  EXPECT_EQ(narrow.kind(whole | bit(40), 3), EntryKind::malformed);
  EXPECT_EQ(narrow.reason(whole | bit(40), 3), Reason::address_size);
}

TEST(AmdV1, RefusesConfigurationsThatItHasNot) {
  for (unsigned levels = 0; levels <= 6; levels++) EXPECT_TRUE(AmdV1::check({.levels = levels}));
  EXPECT_FALSE(AmdV1::check({.levels = 7}));
  for (unsigned bits : {1u, 31u, 53u}) EXPECT_FALSE(AmdV1::check({.output_bits = bits}));
}

// Four levels: 0x1000, 0x2000, 0x3000, 0x4000.
struct SmallTable {
  WordMap words;
  SmallTable() {
    for (std::uint64_t table = 0x1000; table <= 0x4000; table += 0x1000) words.add_table(table, 512, 0);
    words.put(0x1000, 0, 0x2601 | both);
    words.put(0x2000, 0, 0x3401 | both);
    words.put(0x3000, 0, 0x4201 | both);
    words.put(0x4000, 5, 0x77001 | both);
  }
  Walk walk(std::uint64_t input, Access access, AmdV1 const& format = plain, Update update = Update::no) {
    return Walker(format).walk(words, 0x1000, input, access, update);
  }
  Reason reason(std::uint64_t input, Access access) { return walk(input, access).reason; }
};

TEST(AmdV1, WalksThroughAllLevels) {
  SmallTable t;
  EXPECT_EQ(t.walk(0x5123, Access::both()).output, 0x77123u);
  EXPECT_EQ(t.reason(0x6000, Access::reading()), Reason::not_mapped);
  EXPECT_EQ(t.reason(bit(48), Access::reading()), Reason::out_of_range);
}

TEST(AmdV1, ItemsOfARunGiveTheSamePage) {
  SmallTable t;
  for (std::uint64_t i = 16; i < 32; i++) t.words.put(0x4000, i, plain.leaf(0x880000, 0, 16, read_write));
  for (std::uint64_t input = 0x10000; input < 0x20000; input += 0x1123)
    EXPECT_EQ(t.walk(input, Access::both()).output, 0x880000 | (input & 0xffff));
  EXPECT_EQ(t.walk(0x1f000, Access::both()).size_lg2, 16);
}

TEST(AmdV1, RightsAreWhatAllLevelsAllow) {
  for (auto [table, word] : {std::pair{0x4000u, 0x77001u}, {0x3000u, 0x4201u}, {0x2000u, 0x3401u}, {0x1000u, 0x2601u}}) {
    SmallTable t;
    t.words.put(table, table == 0x4000 ? 5 : 0, word | bit(61));
    EXPECT_TRUE(t.walk(0x5000, Access::reading()).ok());
    EXPECT_EQ(t.reason(0x5000, Access::writing()), Reason::permission);
    t.words.put(table, table == 0x4000 ? 5 : 0, word | bit(62));
    EXPECT_TRUE(t.walk(0x5000, Access::writing()).ok());
    EXPECT_EQ(t.reason(0x5000, Access::both()), Reason::permission);
  }
}

TEST(AmdV1, LevelsMayBeSkippedWhereTheirInputBitsAreZero) {
  SmallTable t;
  t.words.put(0x1000, 1, 0x4201 | both);  // from level 3 to level 0
  Walk const w = t.walk(bit(39) | 0x5123, Access::both());
  EXPECT_EQ(w.output, 0x77123u);
  EXPECT_EQ(w.level, 0);
  EXPECT_EQ(t.words.loads, 2u);
  for (unsigned b = 21; b < 39; b++) EXPECT_EQ(t.reason(bit(39) | bit(b) | 0x5123, Access::both()), Reason::not_mapped) << b;
}

TEST(AmdV1, EntriesThatPointToTheirOwnTableAreMalformedOrEndAfterTheLevels) {
  SmallTable t;
  t.words.put(0x1000, 2, 0x1801 | both);  // claims that the table is one of its own level
  EXPECT_EQ(t.reason(bit(40), Access::reading()), Reason::malformed);
  t.words.put(0x1000, 2, 0x1601 | both);  // honest at level 3; at level 2 the same word does not descend
  Walk const w = t.walk(bit(40) | bit(31), Access::reading());
  EXPECT_EQ(w.reason, Reason::malformed);
  EXPECT_EQ(w.level, 2);
}

TEST(AmdV1, SixLevelsTakeAllSixtyFourBits) {
  WordMap words;
  words.add_table(0x1000, 128, 0);
  words.add_table(0x2000, 512, 0);
  words.put(0x1000, 127, 0x2001 | 5 << 9 | both);
  words.put(0x2000, 511, 0x1 | bit(48) | both);  // 2^48 bytes
  Walk const w = Walker(six).walk(words, 0x1000, ~std::uint64_t{0}, Access::both());
  EXPECT_TRUE(w.ok());
  EXPECT_EQ(w.output, bit(49) - 1);
  EXPECT_EQ(w.size_lg2, 48);
  words.put(0x1000, 0, 0x1 | both);
  EXPECT_EQ(Walker(six).walk(words, 0x1000, 0, Access::both()).reason, Reason::malformed);
}

TEST(AmdV1, OneLevelIsATableOfPages) {
  AmdV1 const one(FormatConfiguration{.levels = 1});
  SmallTable t;
  EXPECT_EQ(Walker(one).walk(t.words, 0x4000, 0x5008, Access::both()).output, 0x77008u);
  EXPECT_EQ(Walker(one).walk(t.words, 0x4000, bit(21), Access::both()).reason, Reason::out_of_range);
}

TEST(AmdV1, SetsAccessedOnThePathAndDirtyInTheItemAsConfigured) {
  SmallTable t;
  for (std::uint64_t i = 16; i < 32; i++) t.words.put(0x4000, i, plain.leaf(0x880000, 0, 16, read_write));
  std::uint64_t const clean = t.words.at(0x4000, 17);
  ASSERT_TRUE(t.walk(0x11000, Access::writing(), plain, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x4000, 17), clean);
  AmdV1 const accessed(FormatConfiguration{.accessed_updates = true}), dirty(FormatConfiguration{.dirty_updates = true});
  ASSERT_TRUE(t.walk(0x11000, Access::writing(), accessed, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x4000, 17), clean | bit(5));
  EXPECT_EQ(t.words.at(0x3000, 0), 0x4221 | both);
  ASSERT_TRUE(t.walk(0x11000, Access::writing(), dirty, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x4000, 17), clean | bit(5) | bit(6));
  EXPECT_EQ(t.words.at(0x4000, 16), clean);
  EXPECT_EQ(t.words.at(0x3000, 0), 0x4221 | both);
  EXPECT_EQ(dirty.without_dirty(dirty.without_accessed(t.words.at(0x4000, 17))), clean);
}

}  // namespace
}  // namespace swiommu
