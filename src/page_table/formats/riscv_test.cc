#include "page_table/formats/riscv.h"

#include <gtest/gtest.h>

#include <random>

#include "page_table/walk.h"
#include "page_table/word_map.h"

namespace swiommu {
namespace {

constexpr std::uint64_t V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128, N = bit(63);
constexpr std::uint64_t rw_page = D | A | U | W | R | V;
constexpr MemoryType memory_types[] = {MemoryType::normal, MemoryType::noncacheable, MemoryType::device};

constexpr std::uint64_t ppn(std::uint64_t address) { return address >> 12 << 10; }

template <class F>
class RiscvTables : public testing::Test {
 protected:
  static void expect_reserved(std::uint64_t word, unsigned level, FormatConfiguration const& c = {}) {
    F const f(c);
    EXPECT_EQ(f.kind(word, level), EntryKind::malformed) << std::hex << word << " level " << level;
    EXPECT_EQ(f.reason(word, level), Reason::malformed) << std::hex << word << " level " << level;
  }
  static EntryKind kind(std::uint64_t word, unsigned level, FormatConfiguration const& c = {}) { return F(c).kind(word, level); }
};
using Both = testing::Types<Riscv, RiscvX4>;
TYPED_TEST_SUITE(RiscvTables, Both);

TEST(Riscv, IsSignExtendedAndItsSecondStageIsNotAndHasAWiderRoot) {
  for (unsigned levels : {3u, 4u, 5u}) {
    unsigned const bits = 12 + 9 * levels;
    Riscv const one({.levels = levels});
    EXPECT_EQ(one.geometry().input_bits(), bits);
    EXPECT_TRUE(one.geometry().contains(low_bits(bits - 1)));
    EXPECT_TRUE(one.geometry().contains(~low_bits(bits - 1)));
    EXPECT_FALSE(one.geometry().contains(bit(bits - 1)));
    RiscvX4 const two({.levels = levels});
    EXPECT_EQ(two.geometry().input_bits(), bits + 2);
    EXPECT_EQ(two.geometry().level[levels - 1].index_bits, 11);
    EXPECT_TRUE(two.geometry().contains(low_bits(bits + 2)));
    EXPECT_FALSE(two.geometry().contains(bit(bits + 2)));
    EXPECT_FALSE(two.geometry().contains(~std::uint64_t{0}));
  }
}

TYPED_TEST(RiscvTables, RefuseConfigurationsThatCannotBe) {
  for (unsigned levels : {1u, 2u, 6u, ~0u}) EXPECT_FALSE(TypeParam::check({.levels = levels}));
  for (unsigned levels : {0u, 3u, 4u, 5u}) EXPECT_TRUE(TypeParam::check({.levels = levels, .output_bits = 56}));
  EXPECT_FALSE(TypeParam::check({.output_bits = 57}));
}

TYPED_TEST(RiscvTables, MapLeavesAtEveryLevel) {
  EXPECT_EQ(page_sizes(TypeParam({.levels = 5})), bit(12) | bit(16) | bit(21) | bit(30) | bit(39) | bit(48));
  EXPECT_EQ(page_sizes(TypeParam({.levels = 3, .svnapot = false})), bit(12) | bit(21) | bit(30));
}

TYPED_TEST(RiscvTables, ReadBackEveryLeafTheyWrite) {
  std::mt19937_64 random(1);
  for (bool updates : {false, true}) {
    TypeParam const f({.levels = 5, .accessed_updates = updates, .dirty_updates = updates});
    for (unsigned l = 0; l < 5; l++) {
      std::uint64_t const next = random() & bit_span(55, 12);
      EXPECT_TRUE(l == 0 || f.kind(f.table(next, l), l) == EntryKind::table);
      EXPECT_EQ(f.table_address(f.table(next, l), l), next);
      EXPECT_EQ(f.kind(f.empty(l), l), EntryKind::empty);
      for (unsigned lg2 : {12 + 9 * l, 16u})
        for (MemoryType type : memory_types)
          for (unsigned rights = 0; rights < 4; rights++) {
            if ((f.leaf_sizes(l) & bit(lg2)) == 0) continue;
            Access const wanted{(rights & 1) != 0, (rights & 2) != 0};
            std::uint64_t const output = random() & low_bits(56) & ~low_bits(lg2);
            std::uint64_t const inside = lg2 == 16 ? random() % 16 << 12 : 0;
            auto const e = f.leaf(output + inside, l, lg2, {.access = wanted, .memory = type});
            EXPECT_EQ(f.kind(e, l), EntryKind::leaf);
            EXPECT_EQ(f.leaf_size_lg2(e, l, inside), lg2);
            EXPECT_EQ(f.leaf_address(e, l, inside), output);
            EXPECT_EQ(f.attributes(e, l).memory, type);
            EXPECT_EQ(f.attributes(e, l).access, (Access{wanted.read || wanted.write, wanted.write}))
                << "what is writable is readable";
            EXPECT_EQ(f.is_accessed(e), !updates);
            EXPECT_EQ(f.is_dirty(e), wanted.write && !updates);
          }
    }
  }
}

TYPED_TEST(RiscvTables, WriteTheWordsThatTheManualShows) {
  TypeParam const f{FormatConfiguration{}};
  EXPECT_EQ(f.leaf(0x8259b000, 0, 12, {.access = Access::both()}), ppn(0x8259b000) | rw_page);
  EXPECT_EQ(f.leaf(0x8259b000, 0, 12, {.access = Access::reading()}), ppn(0x8259b000) | A | U | R | V);
  EXPECT_EQ(f.leaf(0x82593000, 0, 16, {.access = Access::both()}), N | ppn(0x82598000) | rw_page);
  EXPECT_EQ(f.leaf(0x82400000, 1, 21, {.access = Access::both(), .memory = MemoryType::device}),
            bit(62) | ppn(0x82400000) | rw_page);
  EXPECT_EQ(f.table(0x80a81000, 2), ppn(0x80a81000) | V);
}

TYPED_TEST(RiscvTables, RefuseWhatIsReserved) {
  std::uint64_t const leaf = ppn(bit(48)) | rw_page, pointer = ppn(0x80a81000) | V;
  for (unsigned l = 0; l < 5; l++) {
    FormatConfiguration const c{.levels = 5};
    EXPECT_EQ(this->kind(leaf, l, c), EntryKind::leaf);
    EXPECT_EQ(this->kind(0, l, c), EntryKind::empty);
    EXPECT_EQ(this->kind(leaf & ~V, l, c), EntryKind::empty) << "nothing else counts without V";
    EXPECT_EQ(this->kind(~V, l, c), EntryKind::empty);
    this->expect_reserved(leaf & ~R, l, c);
    this->expect_reserved((leaf & ~R) | X, l, c);
    for (unsigned n = 54; n <= 60; n++) this->expect_reserved(leaf | bit(n), l, c);
    this->expect_reserved(leaf | bit(61) | bit(62), l, c);
    for (unsigned n : {5u, 8u, 9u}) EXPECT_EQ(this->kind(leaf | bit(n), l, c), EntryKind::leaf) << "ignored " << n;
    EXPECT_EQ(this->kind((leaf & ~(R | W)) | X, l, c), EntryKind::leaf);
    if (l == 0) {
      this->expect_reserved(pointer, l, c);
      continue;
    }
    EXPECT_EQ(this->kind(pointer, l, c), EntryKind::table);
    for (unsigned n : {5u, 8u, 9u}) EXPECT_EQ(this->kind(pointer | bit(n), l, c), EntryKind::table) << "ignored " << n;
    for (unsigned n : {2u, 4u, 6u, 7u, 54u, 55u, 56u, 57u, 58u, 59u, 60u, 61u, 62u, 63u})
      this->expect_reserved(pointer | bit(n), l, c);
    this->expect_reserved(leaf | N, l, c);
    this->expect_reserved(leaf | N | bit(13), l, c);
    for (unsigned n = 10; n < 10 + 9 * l; n++) this->expect_reserved(leaf | bit(n), l, c);
    EXPECT_EQ(this->kind(leaf | bit(10 + 9 * l), l, c), EntryKind::leaf);
  }
}

TYPED_TEST(RiscvTables, KnowRunsAndMemoryTypesOnlyWhereTheExtensionsAre) {
  std::uint64_t const leaf = ppn(0x50000000) | rw_page;
  for (std::uint64_t code = 0; code < 16; code++) {
    if (code == 8)
      EXPECT_EQ(this->kind(leaf | N | code << 10, 0), EntryKind::leaf);
    else
      this->expect_reserved(leaf | N | code << 10, 0);
  }
  this->expect_reserved(leaf | N | bit(13), 0, {.svnapot = false});
  for (unsigned n : {61u, 62u}) {
    EXPECT_EQ(this->kind(leaf | bit(n), 0), EntryKind::leaf);
    this->expect_reserved(leaf | bit(n), 0, {.svpbmt = false});
  }
}

TYPED_TEST(RiscvTables, AllowNothingToUsersWithoutU) {
  TypeParam const f{FormatConfiguration{}};
  EXPECT_EQ(f.attributes(D | A | W | R | V, 0).access, (Access{}));
  EXPECT_EQ(f.attributes(D | A | U | X | V, 0).access, (Access{})) << "execution is not reading";
  EXPECT_EQ(f.attributes(D | A | U | X | R | V, 0).access, Access::reading());
  EXPECT_EQ(f.attributes(rw_page, 0).access, Access::both());
}

TYPED_TEST(RiscvTables, RefuseAddressesBeyondTheOutputSize) {
  FormatConfiguration const c{.output_bits = 44};
  TypeParam const f(c);
  for (std::uint64_t word : {ppn(bit(44)) | rw_page, ppn(bit(55)) | V}) {
    EXPECT_EQ(f.kind(word, 1), EntryKind::malformed);
    EXPECT_EQ(f.reason(word, 1), Reason::address_size);
    EXPECT_NE(this->kind(word, 1), EntryKind::malformed) << "56 bits are the usual size";
  }
  EXPECT_EQ(f.kind(ppn(bit(43)) | rw_page, 1), EntryKind::leaf);
}

// A walk through an Sv39 table (or an Sv39x4 one, which below its root is the same) with one page mapped.
template <class F>
class RiscvWalk : public testing::Test {
 protected:
  static constexpr std::uint64_t root = 0x10000, middle = 0x14000, last = 0x15000, iova = 0x1d3000, page = 0x8259b000;

  RiscvWalk() {
    words[root] = ppn(middle) | V;
    words[middle] = ppn(last) | V;
    words[at] = ppn(page) | rw_page;
  }
  Walk walk(std::uint64_t input, Access access = Access::reading(), FormatConfiguration c = {}) {
    c.levels = 3;
    F const f(c);
    return Walker(f).walk(words, root, input, access, Update::yes);
  }

  std::uint64_t const at = last + 0x1d3 * 8 % 4096;
  WordMap words{bit(40)};
};
TYPED_TEST_SUITE(RiscvWalk, Both);

TYPED_TEST(RiscvWalk, FindsAPage) {
  Walk const w = this->walk(this->iova + 0x800, Access::both());
  EXPECT_TRUE(w.ok());
  EXPECT_EQ(w.output, this->page + 0x800);
  EXPECT_EQ(w.size_lg2, 12);
  EXPECT_EQ(w.entry_address, this->at);
  EXPECT_EQ(this->walk(this->iova + 0x1000).reason, Reason::not_mapped);
}

TYPED_TEST(RiscvWalk, GivesTheSixteenItemsOfARunTheirOwnAddresses) {
  for (std::uint64_t n = 0; n < 16; n++) this->words[this->last + (0x1d0 + n) * 8] = N | ppn(0x50008000) | rw_page;
  for (std::uint64_t n = 0; n < 16; n++) {
    Walk const w = this->walk(0x1d0000 + n * 0x1000 + 9);
    EXPECT_EQ(w.output, 0x50000009 + n * 0x1000);
    EXPECT_EQ(w.size_lg2, 16);
  }
  // A run of one item, which a careless owner wrote, leads nowhere else.
  for (std::uint64_t n = 0; n < 16; n++) this->words[this->last + (0x1d0 + n) * 8] = 0;
  this->words[this->at] = N | ppn(0x66668000) | rw_page;
  EXPECT_EQ(this->walk(this->iova).output, 0x66663000u);
  EXPECT_EQ(this->walk(this->iova + 0x1000).reason, Reason::not_mapped);
}

TYPED_TEST(RiscvWalk, SetsAccessedAndDirtyOnlyWhereTheHardwareDoes) {
  FormatConfiguration updating;
  updating.accessed_updates = updating.dirty_updates = true;
  std::uint64_t& word = this->words[this->at];
  std::uint64_t const clean = ppn(this->page) | U | W | R | V;
  word = clean;
  EXPECT_EQ(this->walk(this->iova).reason, Reason::access_flag);
  EXPECT_EQ(word, clean);
  EXPECT_TRUE(this->walk(this->iova, Access::reading(), updating).ok());
  EXPECT_EQ(word, clean | A);
  EXPECT_TRUE(this->walk(this->iova).ok());
  EXPECT_EQ(this->walk(this->iova, Access::writing()).reason, Reason::permission) << "D is clear and nobody sets it";
  EXPECT_TRUE(this->walk(this->iova, Access::writing(), updating).ok());
  EXPECT_EQ(word, clean | A | D);
  EXPECT_TRUE(this->walk(this->iova, Access::writing()).ok());
  EXPECT_EQ(this->words[this->middle], ppn(this->last) | V) << "A and D are reserved in pointers";
  word = ppn(this->page) | U | R | V;
  EXPECT_EQ(this->walk(this->iova, Access::writing(), updating).reason, Reason::permission);
  EXPECT_EQ(word, ppn(this->page) | U | R | V) << "a refused write leaves no trace";
  TypeParam const f(updating);
  EXPECT_EQ(f.without_dirty(clean | A | D), clean | A);
  EXPECT_EQ(f.without_accessed(clean | A | D), clean | D);
}

TYPED_TEST(RiscvWalk, EndsSelfReferencesAtThePageLevel) {
  this->words[this->root + 8] = ppn(this->root) | V;
  EXPECT_EQ(this->walk(bit(30) | bit(21) | bit(12)).reason, Reason::malformed) << "a pointer at level 0";
  EXPECT_EQ(this->words.loads, 3u);
  this->words[this->root + 8] = ppn(bit(30)) | rw_page;
  EXPECT_EQ(this->walk(bit(30) | 0x1234567).output, bit(30) | 0x1234567u);
  EXPECT_EQ(this->walk(bit(30)).size_lg2, 30);
}

TYPED_TEST(RiscvWalk, FaultsOnBadTables) {
  this->words[this->middle] = ppn(bit(45)) | V;
  EXPECT_EQ(this->walk(this->iova).reason, Reason::table_unreachable);
  this->words[this->middle] = ppn(this->last) | V | G;
  EXPECT_TRUE(this->walk(this->iova).ok());
  this->words[this->middle] = ppn(this->last) | V | U;
  EXPECT_EQ(this->walk(this->iova).reason, Reason::malformed);
  this->words[this->middle] = ppn(this->page) | rw_page;
  EXPECT_EQ(this->walk(this->iova).reason, Reason::malformed) << "misaligned";
}

TEST(Riscv, WalksTheUpperHalf) {
  WordMap words{bit(40)};
  Riscv const f({.levels = 3});
  words[0x10000 + 511 * 8] = ppn(bit(30)) | rw_page;
  EXPECT_EQ(Walker(f).walk(words, 0x10000, ~std::uint64_t{0}, Access::reading()).output, bit(30) + low_bits(30));
  EXPECT_EQ(Walker(f).walk(words, 0x10000, low_bits(39), Access::reading()).reason, Reason::out_of_range);
}

TEST(RiscvX4, WalksTheLastOfTheFourRootPages) {
  WordMap words{bit(40)};
  RiscvX4 const f({.levels = 3});
  words[0x10000 + 2047 * 8] = ppn(bit(30)) | rw_page;
  EXPECT_EQ(Walker(f).walk(words, 0x10000, low_bits(41), Access::reading()).output, bit(30) + low_bits(30));
  EXPECT_EQ(Walker(f).walk(words, 0x10000, bit(41), Access::reading()).reason, Reason::out_of_range);
}

}  // namespace
}  // namespace swiommu
