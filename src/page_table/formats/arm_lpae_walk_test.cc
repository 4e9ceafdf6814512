// Walks through Arm tables that guests wrote, badly or well.
#include <gtest/gtest.h>

#include "page_table/formats/arm_lpae.h"
#include "page_table/walk.h"
#include "page_table/word_map.h"

namespace swiommu {
namespace {

// A walk through the levels 3 to 0 of the 4K granule, with one page mapped.
class ArmWalk : public testing::Test {
 protected:
  static constexpr std::uint64_t root = 0x10000, third = 0x11000, second = 0x12000, first = 0x13000;
  static constexpr std::uint64_t iova = 0x6e4e8000, page = 0x42830f47;
  static constexpr std::uint64_t at3 = root, at2 = third + 8, at1 = second + 0x172 * 8, at0 = first + 0xe8 * 8;
  static inline FormatConfiguration const stage1{.output_bits = 44};

  ArmWalk() {
    words[at3] = third | 3;
    words[at2] = second | 3;
    words[at1] = first | 3;
    words[at0] = page;
  }
  template <class F = ArmStage1>
  Walk walk(std::uint64_t input, Access access = Access::reading(), FormatConfiguration const& c = stage1) {
    F const f(c);
    return Walker(f).walk(words, root, input, access, Update::yes);
  }
  Reason reason(std::uint64_t input = iova, Access access = Access::reading()) { return walk(input, access).reason; }

  WordMap words{bit(40)};
};

TEST_F(ArmWalk, FindsAPage) {
  Walk const w = walk(iova | 0x123, Access::both());
  EXPECT_TRUE(w.ok());
  EXPECT_EQ(w.output, 0x42830123u);
  EXPECT_EQ(w.size_lg2, 12);
  EXPECT_EQ(w.entry_address, at0);
  EXPECT_EQ(words[at0], page) << "nothing was to be updated";
}
TEST_F(ArmWalk, ClearValidBitIsAHole) {
  words[at0] = page & ~bit(0);
  EXPECT_EQ(reason(), Reason::not_mapped);
}
TEST_F(ArmWalk, BlockEncodingAtThePageLevelIsAHole) {
  words[at0] = page & ~bit(1);
  EXPECT_EQ(reason(), Reason::not_mapped);
}
TEST_F(ArmWalk, BlockInTheRootIsAHole) {
  words[at3] = third | 1;
  EXPECT_EQ(reason(), Reason::not_mapped);
}
TEST_F(ArmWalk, ReadOnlyPageRefusesWrites) {
  words[at0] = page | bit(7);
  EXPECT_EQ(reason(), Reason::none);
  EXPECT_EQ(reason(iova, Access::writing()), Reason::permission);
}
TEST_F(ArmWalk, ReadOnlyTableRefusesWritesUnlessHierarchicalRightsAreOff) {
  for (std::uint64_t at : {at1, at2, at3}) {
    words[at] |= bit(62);
    EXPECT_EQ(reason(), Reason::none);
    EXPECT_EQ(reason(iova, Access::writing()), Reason::permission);
    FormatConfiguration without = stage1;
    without.table_rights = false;
    EXPECT_TRUE(walk(iova, Access::writing(), without).ok());
    words[at] &= ~bit(62);
  }
}
TEST_F(ArmWalk, PrivilegedTableRefusesEverything) {
  words[at2] |= bit(61);
  EXPECT_EQ(reason(), Reason::permission);
  EXPECT_EQ(walk<ArmStage2>(iova).reason, Reason::none) << "stage 2 has no APTable";
}
TEST_F(ArmWalk, AddressesBeyondTheOutputSizeAreRefusedInLeavesAndTables) {
  words[at0] = page | bit(46);
  EXPECT_EQ(reason(), Reason::address_size);
  words[at0] = (page | bit(46)) & ~bit(10);
  EXPECT_EQ(reason(), Reason::address_size) << "comes before the access flag";
  words[at0] = page | bit(43);
  EXPECT_EQ(walk(iova).output, 0x42830000u | bit(43));
  words[at1] |= bit(46);
  EXPECT_EQ(reason(), Reason::address_size);
}
TEST_F(ArmWalk, TableOutsideMemoryCannotBeReached) {
  words[at1] = 0x70000000003;
  EXPECT_EQ(reason(), Reason::table_unreachable);
}
TEST_F(ArmWalk, OutputOutsideMemoryIsNotForTheWalkToJudge) {
  words[at0] = 0x70000000f47;
  EXPECT_EQ(walk(iova + 4).output, 0x70000000004u);
}
TEST_F(ArmWalk, SelfReferenceEndsAtThePageLevel) {
  words[root + 16] = root | 3;
  std::uint64_t const self = 0x10080402000;
  EXPECT_EQ(reason(self), Reason::access_flag);
  words[root + 16] = root | 0x443;
  EXPECT_EQ(walk(self + 0x18).output, root + 0x18);
  EXPECT_EQ(walk(iova).output, 0x42830000u);
}
TEST_F(ArmWalk, ClearAccessFlagFaultsUnlessThatIsDisabledOrItIsSet) {
  words[at0] = page & ~bit(10);
  EXPECT_EQ(reason(), Reason::access_flag);
  EXPECT_EQ(walk<ArmStage2>(iova).reason, Reason::access_flag);
  FormatConfiguration c = stage1;
  c.access_flag_faults = false;
  EXPECT_TRUE(walk(iova, Access::reading(), c).ok());
  EXPECT_EQ(words[at0], page & ~bit(10));
  c = stage1;
  c.accessed_updates = true;
  EXPECT_TRUE(walk(iova, Access::reading(), c).ok());
  EXPECT_EQ(words[at0], page);
  EXPECT_EQ(words[at1], first | 3) << "tables have no access flag";
}
TEST_F(ArmWalk, InputsBeyondTheWidthAreOutOfRange) {
  for (std::uint64_t input : {bit(48), bit(62), ~std::uint64_t{0}}) EXPECT_EQ(reason(input), Reason::out_of_range);
  EXPECT_EQ(words.loads, 0u);
}

TEST_F(ArmWalk, DirtyStateOfStage1) {
  FormatConfiguration c = stage1;
  c.accessed_updates = c.dirty_updates = true;
  ArmStage1 const f(c);
  std::uint64_t const clean = page | bit(51) | bit(7);
  words[at0] = clean;
  EXPECT_TRUE(walk(iova, Access::reading(), c).ok());
  EXPECT_EQ(words[at0], clean) << "a read leaves it clean";
  EXPECT_EQ(reason(iova, Access::writing()), Reason::permission) << "without HD it is read-only";
  c.accessed_updates = false;
  EXPECT_EQ(walk(iova, Access::writing(), c).reason, Reason::permission) << "HD needs HA";
  c.accessed_updates = true;
  words[at2] |= bit(62);
  EXPECT_EQ(walk(iova, Access::writing(), c).reason, Reason::permission);
  EXPECT_EQ(words[at0], clean) << "a refused write leaves it clean";
  words[at2] &= ~bit(62);
  EXPECT_TRUE(walk(iova, Access::writing(), c).ok());
  EXPECT_EQ(words[at0], page | bit(51));
  EXPECT_TRUE(f.is_dirty(words[at0]));
  EXPECT_EQ(f.without_dirty(words[at0]), clean);
  EXPECT_FALSE(f.is_dirty(clean));
  EXPECT_EQ(f.without_dirty(page), page) << "without DBM nothing may take the write permission away";
}

TEST_F(ArmWalk, DirtyStateOfStage2) {
  FormatConfiguration c = stage1;
  c.accessed_updates = c.dirty_updates = true;
  ArmStage2 const f(c);
  std::uint64_t const clean = 0x4283077f | bit(51);
  words[at0] = clean;
  EXPECT_EQ(walk<ArmStage2>(iova, Access::writing()).reason, Reason::permission);
  EXPECT_TRUE(walk<ArmStage2>(iova, Access::writing(), c).ok());
  EXPECT_EQ(words[at0], clean | bit(7));
  EXPECT_TRUE(f.is_dirty(words[at0]));
  EXPECT_EQ(f.without_dirty(words[at0]), clean);
  words[at0] = 0x42830783;  // write-only
  EXPECT_EQ(walk<ArmStage2>(iova).reason, Reason::permission);
  EXPECT_TRUE(walk<ArmStage2>(iova, Access::writing()).ok());
}

TEST_F(ArmWalk, ContiguousItemsActAsOne) {
  for (std::uint64_t n = 0; n < 16; n++) words[first + (0xe0 + n) * 8] = (0x50000000 + n * 0x1000) | 0xf47 | bit(52);
  for (std::uint64_t n = 0; n < 16; n++) {
    Walk const w = walk(0x6e4e0000 + n * 0x1000 + 5);
    EXPECT_EQ(w.output, 0x50000005 + n * 0x1000);
    EXPECT_EQ(w.size_lg2, 16);
  }
}

TEST_F(ArmWalk, MisplacedContiguousItemStandsForItself) {
  for (std::uint64_t n = 0; n < 16; n++) words[first + (0xe0 + n) * 8] = (0x50000000 + n * 0x1000) | 0xf47 | bit(52);
  words[at0] = 0x66665000 | 0xf47 | bit(52);       // should end in 8000
  words[at0 + 8] = page;                           // not marked
  words[at0 + 16] = 0x7777a000 | 0xf47 | bit(52);  // fits its place, but in another run
  EXPECT_EQ(walk(iova + 7).output, 0x66665007u);
  EXPECT_EQ(walk(iova + 7).size_lg2, 12);
  EXPECT_EQ(walk(iova + 0x1000).output, 0x42830000u);
  EXPECT_EQ(walk(iova + 0x1000).size_lg2, 12);
  EXPECT_EQ(walk(iova + 0x2000).output, 0x7777a000u);
  EXPECT_EQ(walk(iova - 0x1000).output, 0x50007000u);
}

TEST_F(ArmWalk, RunsOfBlocksHonourTheAddressOfTheirItems) {
  words[at1] = 0x80000000 + 0x2 * bit(21) + 0xf45 + bit(52);  // item 0x172: place 2 in a run of 32 MiB
  EXPECT_EQ(walk(iova).size_lg2, 25);
  EXPECT_EQ(walk(iova).output, 0x80000000 + 0x2 * bit(21) + (iova & low_bits(21)));
  words[at1] += bit(21);
  EXPECT_EQ(walk(iova).size_lg2, 21);
  EXPECT_EQ(walk(iova).output, 0x80000000 + 0x3 * bit(21) + (iova & low_bits(21)));
}

TEST_F(ArmWalk, UpperHalfTakesInputsThatEndInOnes) {
  FormatConfiguration c = stage1;
  c.input_bits = 48;
  c.upper_half = true;
  std::uint64_t const high = 0xffff000000000000;
  EXPECT_EQ(walk(high | iova, Access::reading(), c).output, 0x42830000u);
  EXPECT_EQ(walk(iova, Access::reading(), c).reason, Reason::out_of_range);
  EXPECT_EQ(walk(0x5aff000000000000 | iova, Access::reading(), c).reason, Reason::out_of_range);
  c.top_byte_ignored = true;
  EXPECT_EQ(walk(0x5aff000000000000 | iova, Access::reading(), c).output, 0x42830000u);
  EXPECT_EQ(walk(0x5a7f000000000000 | iova, Access::reading(), c).reason, Reason::out_of_range);
  c.upper_half = false;
  EXPECT_EQ(walk(0x5a00000000000000 | iova, Access::reading(), c).output, 0x42830000u);
  EXPECT_EQ(walk(0x5a80000000000000 | iova, Access::reading(), c).reason, Reason::out_of_range);
}

TEST(ArmStage2, WalksConcatenatedRoots) {
  // 42 bits from level 2: eight tables side by side, the last of them at root + 7 * 4096.
  ArmStage2 const f({.levels = 3, .input_bits = 42});
  WordMap words{bit(40)};
  std::uint64_t const root = 0x100000, input = 7 * bit(39) + 3 * bit(30) + 0x1234;
  words[root + 7 * 4096 + 3 * 8] = 0x80000000 | 0x7fd;
  Walk const w = Walker(f).walk(words, root, input, Access::both());
  EXPECT_TRUE(w.ok());
  EXPECT_EQ(w.output, 0x80001234u);
  EXPECT_EQ(w.size_lg2, 30);
  EXPECT_EQ(Walker(f).walk(words, root, bit(42), Access::both()).reason, Reason::out_of_range);
}

}  // namespace
}  // namespace swiommu
