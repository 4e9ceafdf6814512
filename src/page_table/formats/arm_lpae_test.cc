#include "page_table/formats/arm_lpae.h"

#include <gtest/gtest.h>

#include <random>

namespace swiommu {
namespace {

constexpr Attributes both_normal{.access = Access::both()};
constexpr MemoryType memory_types[] = {MemoryType::normal, MemoryType::noncacheable, MemoryType::device};

struct Expected {
  unsigned granule_lg2, input_bits, levels_given, levels, root_index_bits;
};

template <class F>
void expect_geometry(Expected const& x) {
  FormatConfiguration const c{.levels = x.levels_given, .granule_lg2 = x.granule_lg2, .input_bits = x.input_bits};
  ASSERT_TRUE(F::check(c)) << x.granule_lg2 << " " << x.input_bits << " " << x.levels_given;
  F const format(c);
  Geometry const& g = format.geometry();
  EXPECT_EQ(g.levels, x.levels) << x.granule_lg2 << " " << x.input_bits;
  EXPECT_EQ(g.level[g.top()].index_bits, x.root_index_bits) << x.granule_lg2 << " " << x.input_bits;
  EXPECT_EQ(g.input_bits(), x.input_bits ? x.input_bits : 12 + 9 * x.levels);
}

TEST(ArmStage1, TakesTheLevelsThatTheInputNeeds) {
  for (Expected const& x : {Expected{0, 0, 0, 4, 9},
                            {12, 48, 0, 4, 9},
                            {12, 40, 0, 4, 1},
                            {12, 39, 0, 3, 9},
                            {12, 25, 0, 2, 4},
                            {12, 39, 3, 3, 9},
                            {14, 48, 0, 4, 1},
                            {14, 47, 0, 3, 11},
                            {14, 25, 0, 1, 11},
                            {16, 48, 0, 3, 6},
                            {16, 52, 0, 3, 10},
                            {16, 42, 0, 2, 13},
                            {12, 0, 3, 3, 9}})
    expect_geometry<ArmStage1>(x);
}

TEST(ArmStage2, ConcatenatesUpToSixteenRoots) {
  for (Expected const& x : {Expected{12, 40, 0, 3, 10},
                            {12, 42, 0, 3, 12},
                            {12, 43, 0, 3, 13},
                            {12, 44, 0, 4, 5},
                            {12, 48, 0, 4, 9},
                            {12, 34, 0, 2, 13},
                            {12, 35, 0, 3, 5},
                            {14, 48, 0, 3, 12},
                            {16, 52, 0, 3, 10},
                            {16, 46, 0, 2, 17},
                            {12, 25, 0, 2, 4}})
    expect_geometry<ArmStage2>(x);
}

TEST(ArmStage2, StartsWhereItIsTold) {
  for (Expected const& x :
       {Expected{12, 40, 4, 4, 1}, {12, 40, 3, 3, 10}, {12, 43, 4, 4, 4}, {16, 46, 3, 3, 4}, {12, 31, 3, 3, 1}})
    expect_geometry<ArmStage2>(x);
}

template <class F>
void expect_all_shapes_sound(unsigned concatenation) {
  unsigned accepted = 0;
  for (unsigned granule : {12u, 14u, 16u})
    for (unsigned input = 0; input <= 70; input++)
      for (unsigned levels = 0; levels <= 9; levels++) {
        FormatConfiguration const c{.levels = levels, .granule_lg2 = granule, .input_bits = input};
        if (!F::check(c)) continue;
        accepted++;
        F const format(c);
        Geometry const& g = format.geometry();
        EXPECT_TRUE(input == 0 || g.input_bits() == input);
        EXPECT_TRUE(levels == 0 || g.levels == levels);
        EXPECT_LE(g.input_bits(), granule == 16 ? 52u : 48u);
        EXPECT_GE(g.level[g.top()].index_bits, 1u);
        EXPECT_LE(g.level[g.top()].index_bits, granule - 3 + concatenation);
        for (unsigned l = 0; l < g.levels; l++)  // no leaf is larger than the table that holds it
          EXPECT_EQ(format.leaf_sizes(l) & ~low_bits(g.level[l].shift + g.level[l].index_bits + 1u), 0u);
      }
  EXPECT_GT(accepted, 100u);
}
TEST(ArmStage1, AcceptsOnlyShapesThatTheManualHas) { expect_all_shapes_sound<ArmStage1>(0); }
TEST(ArmStage2, AcceptsOnlyShapesThatTheManualHas) { expect_all_shapes_sound<ArmStage2>(4); }

TEST(ArmLpae, RefusesConfigurationsThatCannotBe) {
  using C = FormatConfiguration;
  EXPECT_FALSE(ArmStage1::check(C{.granule_lg2 = 13}));
  EXPECT_FALSE(ArmStage1::check(C{.granule_lg2 = 2, .input_bits = 20}));
  EXPECT_FALSE(ArmStage1::check(C{.input_bits = 49}));
  EXPECT_FALSE(ArmStage1::check(C{.input_bits = 15}));
  EXPECT_FALSE(ArmStage1::check(C{.granule_lg2 = 16, .input_bits = 53}));
  EXPECT_FALSE(ArmStage1::check(C{.output_bits = 53}));
  EXPECT_FALSE(ArmStage1::check(C{.levels = 3, .input_bits = 40})) << "stage 1 does not concatenate";
  EXPECT_FALSE(ArmStage1::check(C{.levels = 4, .input_bits = 39})) << "a root of one item";
  EXPECT_FALSE(ArmStage1::check(C{.levels = ~0u}));
  EXPECT_FALSE(ArmStage2::check(C{.levels = 3, .input_bits = 44})) << "32 roots";
  EXPECT_FALSE(ArmStage2::check(C{.levels = 4, .input_bits = 39}));
  EXPECT_FALSE(ArmStage2::check(C{.levels = 4, .granule_lg2 = 14, .input_bits = 48})) << "no such SL0";
  EXPECT_TRUE(ArmStage1::check(C{.levels = 4, .granule_lg2 = 14, .input_bits = 48}));
}

TEST(ArmLpae, HasTheLeafSizesOfEachGranule) {
  auto const sizes = [](FormatConfiguration const& c) { return page_sizes(ArmStage1(c)); };
  EXPECT_EQ(sizes({.granule_lg2 = 12}), bit(12) | bit(16) | bit(21) | bit(25) | bit(30) | bit(34));
  EXPECT_EQ(sizes({.granule_lg2 = 14}), bit(14) | bit(21) | bit(25) | bit(30));
  EXPECT_EQ(sizes({.granule_lg2 = 16}), bit(16) | bit(21) | bit(29) | bit(34));
  EXPECT_EQ(sizes({.granule_lg2 = 16, .input_bits = 52, .output_bits = 52}), bit(16) | bit(21) | bit(29) | bit(34) | bit(42));
  // A root of two items has no run of sixteen.
  EXPECT_EQ(sizes({.granule_lg2 = 12, .input_bits = 31}), bit(12) | bit(16) | bit(21) | bit(25) | bit(30));
}

template <class F>
void expect_leaves_to_come_back(FormatConfiguration const& c) {
  ASSERT_TRUE(F::check(c));
  F const f(c);
  Geometry const& g = f.geometry();
  std::mt19937_64 random(c.granule_lg2 * 64 + c.output_bits);
  for (unsigned l = 0; l < g.levels; l++) {
    std::uint64_t const next = random() & low_bits(f.output_bits()) & ~low_bits(c.granule_lg2);
    EXPECT_EQ(f.kind(f.empty(l), l), EntryKind::empty);
    EXPECT_TRUE(l == 0 || f.kind(f.table(next, l), l) == EntryKind::table);
    EXPECT_TRUE(l == 0 || f.table_address(f.table(next, l), l) == next);
    for (unsigned lg2 = 0; lg2 < 64; lg2++)
      for (MemoryType type : memory_types)
        for (unsigned rights = 1; rights < 4; rights++) {
          if ((f.leaf_sizes(l) & bit(lg2)) == 0) continue;
          Access const wanted{(rights & 1) != 0, (rights & 2) != 0};
          std::uint64_t const input = random() & low_bits(g.input_bits()) & ~low_bits(lg2);
          std::uint64_t const output = random() & low_bits(f.output_bits()) & ~low_bits(lg2);
          for (std::uint64_t at = 0; at < bit(lg2); at += bit(g.level[l].shift)) {
            auto const e = f.leaf(output + at, l, lg2, {.access = wanted, .memory = type});
            ASSERT_EQ(f.kind(e, l), EntryKind::leaf);
            ASSERT_EQ(f.leaf_size_lg2(e, l, input + at), lg2);
            ASSERT_EQ(f.leaf_address(e, l, input + at), output);
            ASSERT_EQ(f.attributes(e, l).memory, type);
            Access const got = f.attributes(e, l).access;
            ASSERT_EQ(got, (std::is_same_v<F, ArmStage1> ? Access{true, wanted.write} : wanted));
            ASSERT_FALSE(f.tracks_dirty() && f.is_dirty(e));
            ASSERT_EQ(f.is_accessed(e), !f.tracks_accessed());
          }
        }
  }
}
TEST(ArmLpae, ReadsBackEveryLeafItWrites) {
  for (unsigned granule : {12u, 14u, 16u})
    for (unsigned output : {0u, 40u, 48u, 52u})
      for (bool updates : {false, true}) {
        FormatConfiguration const c{
            .granule_lg2 = granule, .output_bits = output, .accessed_updates = updates, .dirty_updates = updates};
        expect_leaves_to_come_back<ArmStage1>(c);
        expect_leaves_to_come_back<ArmStage2>(c);
      }
}

TEST(ArmLpae, WritesTheWordsThatLinuxWrites) {
  ArmStage1 const one{FormatConfiguration{}};
  EXPECT_EQ(one.leaf(0x42830000, 0, 12, both_normal), 0x42830f47u);
  EXPECT_EQ(one.leaf(0x42830000, 0, 12, {.access = Access::reading()}), 0x42830fc7u);
  EXPECT_EQ(one.leaf(0x40000000, 2, 30, both_normal), 0x40000f45u);
  EXPECT_EQ(one.leaf(0x8090000, 0, 12, {.access = Access::both(), .memory = MemoryType::device}), 0x8090e4bu);
  EXPECT_EQ(one.leaf(0x42830000, 0, 16, both_normal), 0x10000042830f47u);
  EXPECT_EQ(one.table(0x462df000, 3), 0x462df003u);
  ArmStage2 const two{FormatConfiguration{}};
  EXPECT_EQ(two.leaf(0x42a8e000, 0, 12, both_normal), 0x42a8e7ffu);
  EXPECT_EQ(two.leaf(0x42a8e000, 0, 12, {.access = Access::reading(), .memory = MemoryType::noncacheable}), 0x42a8e657u);
}

TEST(ArmLpae, PutsAddressBits51To48IntoBits15To12WithTheLargeGranule) {
  ArmStage1 const wide({.granule_lg2 = 16, .input_bits = 52, .output_bits = 52});
  EXPECT_EQ(wide.table(0x000a'1234'5678'0000, 1), 0x1234'5678'a003u);
  EXPECT_EQ(wide.table_address(0x1234'5678'a003, 1), 0x000a'1234'5678'0000u);
  EXPECT_EQ(wide.leaf_address(wide.leaf(0x000f'fc00'0000'0000, 2, 42, both_normal), 2, 0), 0x000f'fc00'0000'0000u);
  ArmStage1 const narrow({.granule_lg2 = 16, .output_bits = 48});
  EXPECT_EQ(narrow.kind(0x1234'5678'a003, 1), EntryKind::malformed);
  EXPECT_EQ(narrow.reason(0x1234'5678'a003, 1), Reason::address_size);
}

TEST(ArmLpae, TakesBlocksWhereTheGranuleHasNoneForHoles) {
  for (unsigned granule : {12u, 14u, 16u}) {
    ArmStage1 const f({.granule_lg2 = granule});
    for (unsigned l = 0; l < f.geometry().levels; l++) {
      bool const has_blocks = granule == 12 ? l == 1 || l == 2 : l == 1;
      EXPECT_EQ(f.kind(0x441, l), has_blocks ? EntryKind::leaf : EntryKind::empty) << granule << " level " << l;
      for (std::uint64_t word : {0x442ull, 0x440ull}) EXPECT_EQ(f.kind(word, l), EntryKind::empty);
    }
  }
  EXPECT_EQ(ArmStage1({.granule_lg2 = 16, .input_bits = 48, .output_bits = 52}).kind(0x441, 2), EntryKind::leaf);
}

TEST(ArmLpae, IgnoresWhatTheHardwareIgnores) {
  ArmStage1 const one{FormatConfiguration{}};
  std::uint64_t const page = 0x42830f47, block = 0x40000f45, table = 0x462df003;
  for (unsigned n : {5u, 8u, 9u, 11u, 48u, 49u, 50u, 51u, 53u, 54u, 55u, 58u, 59u, 60u, 61u, 62u, 63u}) {
    EXPECT_EQ(one.kind(page ^ bit(n), 0), EntryKind::leaf) << n;
    EXPECT_EQ(one.leaf_address(page ^ bit(n), 0, 0), 0x42830000u) << n;
    EXPECT_EQ(one.attributes(page ^ bit(n), 0), both_normal) << n;
  }
  for (unsigned n = 12; n < 21; n++) EXPECT_EQ(one.leaf_address(block | bit(n), 1, 0), 0x40000000u) << n;
  for (unsigned n = 2; n < 64; n++) {
    if ((n >= 12 && n < 48) || n == 61 || n == 62) continue;
    EXPECT_EQ(one.kind(table | bit(n), 1), EntryKind::table) << n;
    EXPECT_EQ(one.table_address(table | bit(n), 1), 0x462df000u) << n;
    EXPECT_EQ(one.table_rights(table | bit(n), 1), Access::both()) << n;
  }
}

TEST(ArmStage1, DecodesMairAndWritesTheIndexThatHasTheType) {
  // 0: device GRE, 1: write-through, 2: noncacheable, 3: inner noncacheable outer write-back, 4: noncacheable XS, 5: tagged
  ArmStage1 const f({.memory_attributes = 0x0000'f040'f444'bb0c});
  MemoryType const expected[] = {MemoryType::device,       MemoryType::normal, MemoryType::noncacheable, MemoryType::normal,
                                 MemoryType::noncacheable, MemoryType::normal, MemoryType::device,       MemoryType::device};
  for (std::uint64_t index = 0; index < 8; index++)
    EXPECT_EQ(f.attributes(0x443 | index << 2, 0).memory, expected[index]) << index;
  for (MemoryType type : memory_types) EXPECT_EQ(f.attributes(f.leaf(0, 0, 12, {Access::both(), type}), 0).memory, type);
}

TEST(ArmStage2, DecodesItsMemoryAttributes) {
  ArmStage2 const f{FormatConfiguration{}};
  for (std::uint64_t field = 0; field < 16; field++) {
    MemoryType const type = field < 4 ? MemoryType::device : field == 5 ? MemoryType::noncacheable : MemoryType::normal;
    EXPECT_EQ(f.attributes(0x4c3 | field << 2, 0).memory, type) << field;
  }
}

TEST(ArmStage1, GivesUnprivilegedRequestsNothingWithoutAp1) {
  ArmStage1 const f{FormatConfiguration{}};
  EXPECT_EQ(f.attributes(0x403, 0).access, (Access{}));
  EXPECT_EQ(f.attributes(0x483, 0).access, (Access{}));
  EXPECT_EQ(f.attributes(0x443, 0).access, Access::both());
  EXPECT_EQ(f.attributes(0x4c3, 0).access, Access::reading());
  EXPECT_EQ(f.attributes(f.leaf(0x1000, 0, 12, {}), 0).access, (Access{}));
  EXPECT_EQ(f.kind(f.leaf(0x1000, 0, 12, {}), 0), EntryKind::leaf);
}

// Whatever the contiguous bit says, an input leads to where its own item says, and an entry lies inside its table.
template <class F>
void expect_sound_leaves_of_any_word() {
  std::mt19937_64 random(7);
  unsigned runs = 0;
  for (unsigned granule : {12u, 14u, 16u})
    for (unsigned input_bits : {25u, 31u, 40u, 48u}) {
      F const plain({.granule_lg2 = granule, .input_bits = input_bits});
      Geometry const& g = plain.geometry();
      for (unsigned n = 0; n < 4000; n++) {
        unsigned const l = static_cast<unsigned>(random() % g.levels);
        std::uint64_t const input = random() & low_bits(input_bits);
        std::uint64_t e = random() | 0x401;
        if (granule == 16) e &= ~bit_span(15, 12);
        // Every other word has the place in the run that its input asks for.
        if (n % 2 != 0) e = (e & ~bit_span(40, 16)) | (input & bit_span(40, 16));
        if (plain.kind(e, l) != EntryKind::leaf) continue;
        unsigned const size = plain.leaf_size_lg2(e, l, input);
        std::uint64_t const own = plain.leaf_address(e & ~bit(52), l, input);
        ASSERT_NE(plain.leaf_sizes(l) & bit(size), 0u);
        ASSERT_LE(size, g.level[l].shift + g.level[l].index_bits);
        ASSERT_TRUE(is_aligned(plain.leaf_address(e, l, input), size));
        ASSERT_EQ(plain.leaf_address(e, l, input) | (input & low_bits(size)), own | (input & low_bits(g.level[l].shift)));
        runs += size > g.level[l].shift;
      }
    }
  EXPECT_GT(runs, 1000u);
}
TEST(ArmLpae, LeadsEachInputWhereItsOwnItemSays) {
  expect_sound_leaves_of_any_word<ArmStage1>();
  expect_sound_leaves_of_any_word<ArmStage2>();
}

}  // namespace
}  // namespace swiommu
