#include "page_table/walk.h"

#include <gtest/gtest.h>

#include <functional>

#include "page_table/formats/amd_v1.h"
#include "page_table/formats/s390_zpci.h"
#include "page_table/formats/vtd_second_stage.h"
#include "page_table/word_map.h"

namespace swiommu {
namespace {

constexpr Attributes both{.access = Access::both()};

// Somebody else writes just before each exchange.
class ContestedWords : public WordMap {
 public:
  template <class Entry>
  Exchange exchange(std::uint64_t table, std::uint64_t index, Entry& expected, Entry e) {
    exchanges++;
    before_exchange();
    return WordMap::exchange<Entry>(table, index, expected, e);
  }
  unsigned exchanges = 0;
  std::function<void()> before_exchange = [] {};
};

class ReadOnlyWords : public WordMap {
 public:
  explicit ReadOnlyWords(WordMap const& words) : WordMap(words) {}
  template <class Entry>
  Exchange exchange(std::uint64_t, std::uint64_t, Entry&, Entry) {
    return Exchange::unreachable;
  }
};

class WalkOfVtd : public testing::Test {
 protected:
  WalkOfVtd() {
    words.add_table(0x1000, 512, 0);
    words.add_table(0x2000, 512, 0);
    words.add_table(0x3000, 512, 0);
    words.put(0x1000, 0, format.table(0x2000, 2));
    words.put(0x2000, 0, format.table(0x3000, 1));
    words.put(0x3000, 5, format.leaf(0x7000, 0, 12, both));
  }
  VtdSecondStage format{{.levels = 3, .accessed_updates = true, .dirty_updates = true}};
  ContestedWords words;
};

TEST_F(WalkOfVtd, WritesFlagsOnThePathAndOnlyOnce) {
  Walker const walker(format);
  EXPECT_TRUE(walker.walk(words, 0x1000, 0x5123, Access::reading(), Update::yes).ok());
  EXPECT_EQ(words.exchanges, 3u);
  EXPECT_TRUE(format.is_accessed(words.at(0x3000, 5)) && !format.is_dirty(words.at(0x3000, 5)));
  EXPECT_TRUE(walker.walk(words, 0x1000, 0x5123, Access::writing(), Update::yes).ok());
  EXPECT_EQ(words.exchanges, 4u) << "only the leaf's dirty flag was missing";
  EXPECT_TRUE(format.is_dirty(words.at(0x3000, 5)));
  EXPECT_TRUE(walker.walk(words, 0x1000, 0x5123, Access::both(), Update::yes).ok());
  EXPECT_EQ(words.exchanges, 4u);
}

TEST_F(WalkOfVtd, StartsAgainWhenAnEntryHasChangedUnderIt) {
  bool moved = false;
  words.before_exchange = [&] {
    if (!moved) words.put(0x3000, 5, format.leaf(0x9000, 0, 12, both));
    if (!moved) words.put(0x1000, 0, format.table(0x2000, 2) | std::uint64_t{1} << 52);  // an ignored bit
    moved = true;
  };
  Walk const walk = Walker(format).walk(words, 0x1000, 0x5123, Access::writing(), Update::yes);
  EXPECT_TRUE(walk.ok());
  EXPECT_EQ(walk.output, 0x9123u);
  EXPECT_TRUE(format.is_dirty(words.at(0x3000, 5)));
}

TEST_F(WalkOfVtd, GivesUpOnAnOwnerWhoNeverStopsWriting) {
  std::uint64_t n = 0;
  words.before_exchange = [&] { words.put(0x1000, 0, format.table(0x2000, 2) | (n++ % 2 + 1) << 52); };
  Walk const walk = Walker(format).walk(words, 0x1000, 0x5123, Access::writing(), Update::yes);
  EXPECT_EQ(walk.reason, Reason::table_unreachable);
  EXPECT_LE(words.exchanges, 1000u);
}

TEST_F(WalkOfVtd, FaultsWhereAFlagCannotBeWritten) {
  ReadOnlyWords read_only(words);
  EXPECT_EQ(Walker(format).walk(read_only, 0x1000, 0x5000, Access::reading(), Update::yes).reason, Reason::table_unreachable);
  EXPECT_TRUE(Walker(format).walk(read_only, 0x1000, 0x5000, Access::reading(), Update::no).ok());
}

TEST_F(WalkOfVtd, AFailedWalkWritesNothing) {
  words.put(0x3000, 6, format.leaf(0x8000, 0, 12, {.access = Access::reading()}));
  EXPECT_EQ(Walker(format).walk(words, 0x1000, 0x6000, Access::writing(), Update::yes).reason, Reason::permission);
  EXPECT_EQ(Walker(format).walk(words, 0x1000, 0x7000, Access::reading(), Update::yes).reason, Reason::not_mapped);
  EXPECT_EQ(words.exchanges, 0u);
}

TEST_F(WalkOfVtd, RightsAreCombinedAlongThePath) {
  words.put(0x2000, 0, format.table(0x3000, 1) & ~std::uint64_t{2});  // no write
  Walk const walk = Walker(format).walk(words, 0x1000, 0x5000, Access::writing());
  EXPECT_EQ(walk.reason, Reason::permission);
  EXPECT_EQ(walk.attributes.access, Access::reading());
  EXPECT_EQ(walk.output, 0x7000u) << "it is said where the access would have gone";
}

TEST_F(WalkOfVtd, AnUnreachableTableIsNamedWithTheWordThatWasLookedFor) {
  words.put(0x2000, 0, format.table(0x66000, 1));
  Walk const walk = Walker(format).walk(words, 0x1000, 0x5000, Access::reading());
  EXPECT_EQ(walk.reason, Reason::table_unreachable);
  EXPECT_EQ(walk.level, 0u);
  EXPECT_EQ(walk.entry_address, 0x66028u);
  EXPECT_EQ(walk.entry, 0u);
}

TEST(WalkOfAmd, SkippedLevelsTranslateTheirFirstPartOnly) {
  AmdV1 const format({.levels = 4});
  WordMap words;
  words.add_table(0x1000, 512, 0);
  words.add_table(0x2000, 512, 0);
  words.put(0x1000, 3, format.table(0x2000, 1));  // from level 3 to level 0
  words.put(0x2000, 7, format.leaf(0x9000, 0, 12, both));
  std::uint64_t const item = std::uint64_t{3} << 39;
  EXPECT_EQ(Walker(format).walk(words, 0x1000, item + 0x7010, Access::reading()).output, 0x9010u);
  Walk const in_table = Walker(format).walk(words, 0x1000, item + 0x8000, Access::reading());
  EXPECT_EQ(in_table.size_lg2, 12u);
  Walk const above = Walker(format).walk(words, 0x1000, item + bit(21) + 0x7010, Access::reading());
  EXPECT_EQ(above.reason, Reason::not_mapped);
  EXPECT_EQ(above.size_lg2, 21u) << "a larger hole would hold what is mapped";
  EXPECT_EQ(Walker(format).walk(words, 0x1000, item + bit(30), Access::reading()).size_lg2, 30u);
}

TEST(WalkOfS390, PartsOfATableThatAreLeftOutAreHoles) {
  S390Zpci const format({.levels = 3});
  WordMap words;
  words.add_table(0x10000, 2048, format.empty(2));
  words.add_table(0x20000, 2048, format.empty(1));
  words.add_table(0x30000, 256, format.empty(0));
  words.put(0x10000, 0, (format.table(0x20000, 2) & ~std::uint64_t{0xc3}) | 1 << 6 | 2);  // quarters 1 and 2
  for (std::uint64_t const index : {0u, 512u, 1535u, 1536u}) words.put(0x20000, index, format.table(0x30000, 1));
  words.put(0x30000, 4, format.leaf(0x5000, 0, 12, both));
  for (std::uint64_t const index : {0u, 511u, 512u, 1535u, 1536u}) {
    Walk const walk = Walker(format).walk(words, 0x10000, (index << 20) + 0x4000, Access::reading());
    bool const held = index == 512 || index == 1535;
    EXPECT_EQ(walk.reason, held ? Reason::none : Reason::not_mapped) << index;
    EXPECT_EQ(walk.size_lg2, held ? 12u : 20u) << index;
  }
}

}  // namespace
}  // namespace swiommu
