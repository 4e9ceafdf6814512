// The library against walkers that were written by somebody who had not seen it: tables of random words,
// most of them nearly right, and what a read and a write of random addresses come to. These are formats, or parts of them, for
// which there is no other program to ask.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "reference_walk/riscv.h"
#include "reference_walk/two_stage.h"
#include "reference_walk/written_memory.h"
#include "reference_walk/x86.h"
#include "reference_walk/zpci.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/page_table/page_table.h"
#include "user_table.h"

namespace reference_walk {
namespace {

using swiommu::Access;
using swiommu::bit;
using swiommu::FormatConfiguration;
using swiommu::FormatName;
using swiommu::low_bits;
using swiommu::Range;
using swiommu::Update;
using swiommu::UserPageTable;
using swiommu::conformance::effort;
using swiommu::conformance::seed;

// One format in one configuration, in both worlds.
struct Compared {
  std::string name;
  FormatConfiguration format;
  bool big_endian = false;
  std::function<std::uint64_t(Random&)> word;   // of a table
  std::function<std::uint64_t(Random&)> input;  // an address to be translated
  std::function<Walker(std::uint64_t root)> walker;
  unsigned root_lg2 = 12;  // its alignment
};

// Bits of which each is set with a chance of its own, in sixteenths.
struct Chance {
  std::uint64_t bits;
  unsigned sixteenths;
};
std::uint64_t some_bits(Random& random, std::initializer_list<Chance> chances) {
  std::uint64_t word = 0;
  for (Chance const& chance : chances)
    for (unsigned n = 0; n < 64; n++)
      if ((chance.bits >> n & 1) != 0 && below(random, 16) < chance.sixteenths) word |= bit(n);
  return word;
}

// Sign-extended, most of them.
std::uint64_t canonical(Random& random, unsigned bits) {
  if (one_in(random, 32)) return random();
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(random() << (64 - bits)) >> (64 - bits));
}

Compared riscv(RiscvMode mode, unsigned levels, bool second_stage, bool svnapot, bool svpbmt, bool updates) {
  unsigned const bits = 12 + 9 * levels + (second_stage ? 2 : 0);
  Compared compared{.name = "Sv" + std::to_string(12 + 9 * levels) + (second_stage ? "x4" : "") + (svnapot ? "Svnapot" : "") +
                            (svpbmt ? "Svpbmt" : "") + (updates ? "Updates" : ""),
                    .format = {.format = second_stage ? FormatName::riscv_x4 : FormatName::riscv,
                               .levels = levels,
                               .accessed_updates = updates,
                               .dirty_updates = updates,
                               .svnapot = svnapot,
                               .svpbmt = svpbmt}};
  compared.root_lg2 = second_stage ? 14 : 12;
  compared.word = [](Random& random) {
    std::uint64_t const address = WrittenMemory::table(random);
    std::uint64_t word = address >> 2 | some_bits(random, {{bit(0), 15}, {bit(5) | bit(8) | bit(9), 8}});
    if (one_in(random, 2)) {  // a leaf, perhaps large, perhaps 64 KiB
      word |= some_bits(random, {{bit(1) | bit(2) | bit(4) | bit(6) | bit(7), 14}, {bit(3), 4}, {bit(61) | bit(62), 3}});
      if (one_in(random, 3)) word = (word & ~(low_bits(4) << 10)) | bit(63) | (one_in(random, 4) ? 0 : bit(13));
      if (one_in(random, 3)) word &= ~(low_bits(9) << 10);
      if (one_in(random, 3)) word &= ~(low_bits(18) << 10);
    } else {
      word |= some_bits(random, {{bit(4) | bit(6) | bit(7) | bit(61) | bit(63), 1}});
    }
    return one_in(random, 16) ? word | bit(54 + static_cast<unsigned>(below(random, 7))) : word;
  };
  compared.input = [=](Random& random) {
    return second_stage ? (one_in(random, 32) ? random() : random() & low_bits(bits)) : canonical(random, bits);
  };
  compared.walker = [=](std::uint64_t root) {
    return riscv_walker(mode, root, {.svnapot = svnapot, .svpbmt = svpbmt, .adue = updates});
  };
  return compared;
}

Compared x86(unsigned levels, unsigned width) {
  Compared compared{.name = "X86Of" + std::to_string(levels) + "LevelsTo" + std::to_string(width) + "Bits",
                    .format = {.format = FormatName::x86_64, .levels = levels, .output_bits = width}};
  compared.word = [](Random& random) {
    std::uint64_t word = WrittenMemory::table(random) |
                         some_bits(random, {{low_bits(3), 15}, {bit(7), 3}, {bit(3) | bit(4) | bit(5) | bit(6) | bit(8), 8}});
    if ((word & bit(7)) != 0 && !one_in(random, 4)) word &= ~(low_bits(17) << 13) | (one_in(random, 2) ? low_bits(9) << 21 : 0);
    return one_in(random, 16) ? word | bit(9 + static_cast<unsigned>(below(random, 55))) : word;
  };
  compared.input = [=](Random& random) { return canonical(random, 12 + 9 * levels); };
  compared.walker = [=](std::uint64_t root) { return x86_walker(root, {.levels = levels, .host_address_width = width}); };
  return compared;
}

// Where the I/O architecture is not published our reading is QEMU's, in the options that say so.
Compared zpci(ZpciTable type) {
  unsigned const levels = 2 + static_cast<unsigned>(type), bits = 20 + 11 * (levels - 1);
  Compared compared{.name = "ZpciOf" + std::to_string(levels) + "Levels",
                    .format = {.format = FormatName::s390_zpci, .levels = levels},
                    .big_endian = true};
  compared.root_lg2 = 14;
  compared.word = [](Random& random) {
    std::uint64_t word = WrittenMemory::table(random, one_in(random, 2) ? 14 : 11);
    word |= below(random, 4) << 2 | some_bits(random, {{low_bits(2), 15}, {bit(5) | bit(6) | bit(7) | bit(9) | bit(10), 1}});
    return one_in(random, 16) ? word | bit(static_cast<unsigned>(below(random, 64))) : word;
  };
  compared.input = [=](Random& random) { return one_in(random, 32) || bits >= 64 ? random() : random() & low_bits(bits); };
  compared.walker = [=](std::uint64_t root) {
    return zpci_walker(
        {.type = type, .origin = root},
        {.one_mib = ZpciFrames::allowed, .two_gib = ZpciFrames::ignored, .page_zero_bit_faults = false, .region_origin_lg2 = 14});
  };
  return compared;
}

std::vector<Compared> all_compared() {
  std::vector<Compared> all;
  struct Mode {
    RiscvMode one, x4;
    unsigned levels;
  };
  for (Mode const& mode : {Mode{RiscvMode::sv39, RiscvMode::sv39x4, 3}, Mode{RiscvMode::sv48, RiscvMode::sv48x4, 4},
                           Mode{RiscvMode::sv57, RiscvMode::sv57x4, 5}})
    for (unsigned n = 0; n < 8; n++)
      for (bool const second_stage : {false, true})
        all.push_back(
            riscv(second_stage ? mode.x4 : mode.one, mode.levels, second_stage, (n & 1) != 0, (n & 2) != 0, (n & 4) != 0));
  for (unsigned const levels : {4u, 5u})
    for (unsigned const width : {39u, 52u}) all.push_back(x86(levels, width));
  for (ZpciTable const type : {ZpciTable::segment, ZpciTable::region_third, ZpciTable::region_second, ZpciTable::region_first})
    all.push_back(zpci(type));
  return all;
}
std::vector<Compared> const& compared_formats() {
  static auto const* const all = new std::vector<Compared>(all_compared());
  return *all;
}

constexpr std::uint64_t memories = 40, inputs_each = 200;

class ReferenceWalkAgreement : public testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] static Compared const& compared() { return compared_formats()[GetParam()]; }
};

// What became of a read or a write in both worlds.
template <class Ours>
void expect_same(Ours const& ours, Answer const& theirs, std::uint64_t input) {
  ASSERT_EQ(ours.ok(), theirs.ok) << std::hex << input << ": " << name(ours.reason) << ", '" << theirs.why << "'";
  if (!theirs.ok) return;
  EXPECT_EQ(ours.output, theirs.output) << std::hex << input;
  EXPECT_EQ(ours.size_lg2, theirs.size_lg2) << std::hex << input;
}

TEST_P(ReferenceWalkAgreement, OnTablesOfNearlyRightWords) {
  std::uint64_t good = 0, bad = 0;
  for (std::uint64_t n = 0; n < effort(memories); n++) {
    SCOPED_TRACE("SWIOMMU_SEED=" + std::to_string(seed() + n));
    Random random(seed() + n);
    WrittenMemory const memory([&] { return compared().word(random); }, compared().big_endian);
    std::uint64_t const root = WrittenMemory::base + (below(random, 4) << 14);
    auto const table =
        swiommu::PageTable::open({.format = compared().format, .root = root, .big_endian = compared().big_endian}, memory);
    ASSERT_TRUE(table);
    Walker const walker = compared().walker(root);
    for (std::uint64_t m = 0; m < inputs_each; m++) {
      std::uint64_t const input = compared().input(random);
      for (Kind const kind : {Kind::read, Kind::write}) {
        Answer const theirs = walker(memory.reader(), input, kind);
        expect_same((*table)->walk(input, kind == Kind::read ? Access::reading() : Access::writing(), Update::no), theirs, input);
        if (HasFailure()) return;
        (theirs.ok ? good : bad)++;
      }
    }
  }
  // The words are chosen so that both are met.
  if (effort(memories) >= memories) {
    EXPECT_GT(good, 10u);
    EXPECT_GT(bad, 10u);
  }
}

// The format as a user's table over one of the others, which moves the pages, and has holes and pages that are read only. Flags
// are set, so that a page with a table in it that is read only matters.
TEST_P(ReferenceWalkAgreement, OnItsTablesOverOthers) {
  std::uint64_t good = 0, bad = 0;
  for (std::uint64_t n = 0; n < effort(memories); n++) {
    SCOPED_TRACE("SWIOMMU_SEED=" + std::to_string(seed() + n));
    Random random(seed() + n);
    Compared const& over = compared_formats()[below(random, compared_formats().size())];
    auto const memory = std::make_shared<WrittenMemory>([&] { return compared().word(random); }, compared().big_endian);
    swiommu::UserTable parent_table(over.format, *memory, WrittenMemory::room, over.big_endian);
    std::uint64_t const exchanged = below(random, 4) << 14;
    for (std::uint64_t at = 0; at < WrittenMemory::size; at += 4096) {
      if (one_in(random, 32)) continue;
      Access const access = one_in(random, 8) ? Access::reading() : Access::both();
      ASSERT_TRUE(parent_table.map(Range::block(WrittenMemory::base + at, 12), WrittenMemory::base + (at ^ exchanged), access));
    }
    std::uint64_t const root = WrittenMemory::base + (below(random, 4) << 14);
    auto const host = swiommu::Host::create(memory).value();
    auto const parent =
        swiommu::NestedDomain::create(swiommu::IdentityDomain::create(host).value(), parent_table.description()).value();
    auto const nested =
        swiommu::NestedDomain::create(parent, {{.format = compared().format, .root = root, .big_endian = compared().big_endian}})
            .value();
    Walker const walker = two_stage_walker(compared().walker(root), over.walker(parent_table.description().root));
    for (std::uint64_t m = 0; m < inputs_each; m++) {
      std::uint64_t const input = compared().input(random);
      for (Kind const kind : {Kind::read, Kind::write}) {
        Answer const theirs = walker(memory->reader(), input, kind);
        expect_same(nested->translate(input, kind == Kind::read ? Access::reading() : Access::writing(), Update::yes), theirs,
                    input);
        if (HasFailure()) return;
        (theirs.ok ? good : bad)++;
      }
    }
  }
  if (effort(memories) >= memories) {
    EXPECT_GT(good, 0u);
    EXPECT_GT(bad, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, ReferenceWalkAgreement, testing::Range(std::size_t{0}, compared_formats().size()),
                         [](auto const& tested) { return compared_formats()[tested.param].name; });

}  // namespace
}  // namespace reference_walk
