#include "page_table/formats/vtd_second_stage.h"

#include <gtest/gtest.h>

#include "page_table/word_map.h"

namespace swiommu {
namespace {

constexpr VtdSecondStage plain{FormatConfiguration{}};
constexpr Attributes read_write{.access = Access::both()};

static_assert(plain.leaf(0x1234000, 0, 12, read_write) == 0x1234003);
static_assert(plain.leaf(0x40000000, 2, 30, {.access = Access::reading(), .coherent = true}) == 0x40000881);
static_assert(plain.table(0x5000, 3) == 0x5003);
static_assert(page_sizes(plain) == (bit(12) | bit(21) | bit(30)));
static_assert(VtdSecondStage(FormatConfiguration{.levels = 5}).geometry().input_bits() == 57);
static_assert(VtdSecondStage(FormatConfiguration{.levels = 3}).geometry().input_bits() == 39);

TEST(VtdSecondStage, LeavesOfAllSizesAndRightsComeBackAsTheyWereWritten) {
  for (unsigned level : {0u, 1u, 2u})
    for (Access access : {Access::reading(), Access::writing(), Access::both()})
      for (bool coherent : {false, true}) {
        Attributes const attributes{.access = access, .coherent = coherent};
        unsigned const size = 12 + 9 * level;
        std::uint64_t const address = bit_span(51, size) & 0x000a5a5a5a5a5000;
        auto const e = plain.leaf(address, level, size, attributes);
        ASSERT_EQ(plain.kind(e, level), EntryKind::leaf);
        EXPECT_EQ(plain.leaf_address(e, level, 0), address);
        EXPECT_EQ(plain.leaf_size_lg2(e, level, 0), size);
        EXPECT_EQ(plain.attributes(e, level), attributes);
      }
}

TEST(VtdSecondStage, ChecksExactlyTheReservedBits) {
  VtdSecondStage const narrow{FormatConfiguration{.levels = 5, .output_bits = 46}};
  for (unsigned level = 0; level < 5; level++)
    for (bool leaf : {false, true}) {
      if (leaf ? level > 2 : level == 0) continue;
      std::uint64_t reserved = bit_span(51, 46) | bit(62);
      if (!leaf) reserved |= bit(11);
      if (!leaf && level > 2) reserved |= bit(7);
      if (leaf && level == 1) reserved |= bit_span(20, 12);
      if (leaf && level == 2) reserved |= bit_span(29, 12);
      std::uint64_t const e = leaf && level ? 0x83 : 0x03;
      for (unsigned b = 2; b < 64; b++) {
        if (b == 7 && level != 0 && level <= 2) continue;  // makes one kind the other
        bool const refused = narrow.kind(e | bit(b), level) == EntryKind::malformed;
        EXPECT_EQ(refused, (reserved & bit(b)) != 0) << level << leaf << " bit " << b;
      }
    }
}

TEST(VtdSecondStage, SnpIsReservedWhereSnoopControlIsNotAnnounced) {
  VtdSecondStage const without{FormatConfiguration{.snoop_control = false}};
  EXPECT_EQ(without.kind(0x1803, 0), EntryKind::malformed);
  EXPECT_EQ(without.kind(0x200883, 1), EntryKind::malformed);
  EXPECT_EQ(without.kind(0x200083, 1), EntryKind::leaf);
  EXPECT_EQ(without.leaf(0x1000, 0, 12, {.access = Access::both(), .coherent = true}), 0x1003u);
}

TEST(VtdSecondStage, AnEntryWithoutRightsIsEmptyWhateverElseItHolds) {
  for (unsigned level = 0; level < 5; level++) EXPECT_EQ(plain.kind(~std::uint64_t{3}, level), EntryKind::empty);
}

TEST(VtdSecondStage, RefusesConfigurationsThatItHasNot) {
  for (unsigned levels : {0u, 3u, 4u, 5u}) EXPECT_TRUE(VtdSecondStage::check({.levels = levels}));
  for (unsigned levels : {1u, 2u, 6u}) EXPECT_FALSE(VtdSecondStage::check({.levels = levels}));
  for (unsigned bits : {1u, 31u, 53u, 64u}) EXPECT_FALSE(VtdSecondStage::check({.output_bits = bits}));
  for (unsigned bits : {0u, 32u, 52u}) EXPECT_TRUE(VtdSecondStage::check({.output_bits = bits}));
}

struct SmallTable {
  WordMap words;
  SmallTable() {
    for (std::uint64_t table = 0x1000; table <= 0x4000; table += 0x1000) words.add_table(table, 512, 0);
    words.put(0x1000, 0, 0x2003);
    words.put(0x2000, 0, 0x3003);
    words.put(0x3000, 0, 0x4003);
    words.put(0x3000, 1, 0x40200083);
    words.put(0x4000, 5, 0x77003);
  }
  Walk walk(std::uint64_t input, Access access, VtdSecondStage const& format = plain, Update update = Update::no) {
    return Walker(format).walk(words, 0x1000, input, access, update);
  }
};

TEST(VtdSecondStage, WalksToSmallAndLargeLeaves) {
  SmallTable t;
  EXPECT_EQ(t.walk(0x5123, Access::both()).output, 0x77123u);
  EXPECT_EQ(t.walk(0x2abcde, Access::both()).output, 0x402abcdeu);
  EXPECT_EQ(t.walk(0x2abcde, Access::both()).size_lg2, 21);
  EXPECT_EQ(t.walk(0x6000, Access::reading()).reason, Reason::not_mapped);
  EXPECT_EQ(t.walk(bit(48), Access::reading()).reason, Reason::out_of_range);
  EXPECT_EQ(t.walk(~std::uint64_t{0}, Access::reading()).reason, Reason::out_of_range);
}

TEST(VtdSecondStage, RightsAreWhatAllLevelsAllow) {
  SmallTable t;
  t.words.put(0x2000, 0, 0x3001);
  EXPECT_TRUE(t.walk(0x5000, Access::reading()).ok());
  EXPECT_EQ(t.walk(0x5000, Access::writing()).reason, Reason::permission);
  t.words.put(0x3000, 0, 0x4002);
  EXPECT_EQ(t.walk(0x5000, Access::reading()).reason, Reason::permission);
}

TEST(VtdSecondStage, SetsAccessedEverywhereAndDirtyInTheLeafIfConfigured) {
  for (bool dirty_asked_for : {false, true}) {
    SmallTable t;
    VtdSecondStage const updating(FormatConfiguration{.accessed_updates = !dirty_asked_for, .dirty_updates = dirty_asked_for});
    EXPECT_TRUE(updating.tracks_accessed() && updating.tracks_dirty());
    ASSERT_TRUE(t.walk(0x5000, Access::reading(), updating, Update::yes).ok());
    EXPECT_EQ(t.words.at(0x4000, 5), 0x77103u);
    ASSERT_TRUE(t.walk(0x5000, Access::writing(), updating, Update::yes).ok());
    EXPECT_EQ(t.words.at(0x1000, 0), 0x2103u);
    EXPECT_EQ(t.words.at(0x3000, 0), 0x4103u);
    EXPECT_EQ(t.words.at(0x4000, 5), 0x77303u);
    ASSERT_TRUE(t.walk(0x200000, Access::writing(), updating, Update::yes).ok());
    EXPECT_EQ(t.words.at(0x3000, 1), 0x40200383u);
  }
  SmallTable t;
  ASSERT_TRUE(t.walk(0x5000, Access::writing(), plain, Update::yes).ok());
  EXPECT_EQ(t.words.at(0x4000, 5), 0x77003u);
}

TEST(VtdSecondStage, AnEntryThatPointsToItsOwnTableEndsAfterTheLevels) {
  SmallTable t;
  t.words.put(0x1000, 2, 0x1003);
  Walk const w = t.walk(0x10080402018, Access::reading());  // index 2 at each level
  EXPECT_TRUE(w.ok());
  EXPECT_EQ(w.output, 0x1018u);
  EXPECT_EQ(t.words.loads, 4u);
}

}  // namespace
}  // namespace swiommu
