#include "vfio/devices/nvme/power_cut.h"

#include <gmock/gmock.h>
#include <sys/mman.h>

#include <set>

#include "vfio/devices/nvme/record_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct NvmePowerCutTest : RecordTest {
  // The number in each block of the first namespace: what filled() puts there, and 0 for zeros.
  std::vector<unsigned> after(PowerCut const& cut) {
    BackingFile const image(Descriptor(::memfd_create("image", MFD_CLOEXEC)));
    EXPECT_EQ(::ftruncate(image.descriptor(), blocks * 512), 0);
    auto reader = RecordReader::open(file.path()).value();
    auto const made = CutImage(reader, image).make(cut);
    EXPECT_TRUE(made) << made.error().about;
    outcome = made.value_or(CutOutcome{});
    std::vector<std::byte> bytes(blocks * 512);
    EXPECT_TRUE(image.read(0, bytes));
    std::vector<unsigned> numbers;
    for (std::size_t at = 0; at < bytes.size(); at += 512) {
      numbers.push_back(std::to_integer<unsigned>(bytes[at]));
      EXPECT_TRUE(std::ranges::all_of(std::span(bytes).subspan(at, 512), [&](auto each) { return each == bytes[at]; }))
          << "half a block";
    }
    return numbers;
  }
  std::vector<unsigned> first(std::size_t count, PowerCut const& cut) {
    auto all = after(cut);
    all.resize(count);
    return all;
  }
  CutOutcome outcome;
};

TEST_F(NvmePowerCutTest, AFlushKeepsWhatWasDoneBeforeItBegan) {
  auto const record = create();
  ASSERT_EQ(write(*record, 0, 3, 10), status::success);
  ASSERT_EQ(write(*record, 1, 1, 20), status::success);  // while the flush below is under way
  ASSERT_EQ(flush(*record, 1), status::success);
  EXPECT_THAT(first(4, {.until = 0}), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(first(4, {.until = 1}), ElementsAre(10, 11, 12, 0));
  EXPECT_THAT(first(4, {.until = 1, .loss = Loss::all}), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(first(4, {.until = 2, .loss = Loss::all}), ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(outcome.changes, 2u);
  EXPECT_EQ(outcome.lost, 2u);
  EXPECT_THAT(first(4, {.until = 3, .loss = Loss::all}), ElementsAre(10, 11, 12, 0));
  EXPECT_EQ(outcome.changes, 1u);
  EXPECT_THAT(first(4, {.until = 3}), ElementsAre(10, 20, 12, 0));
  EXPECT_EQ(outcome.lost, 0u);
}

TEST_F(NvmePowerCutTest, WhatIsKeptByItselfKeepsNothingElse) {
  auto const record = create();
  ASSERT_EQ(write(*record, 0, 6, 10), status::success);
  ASSERT_EQ(write(*record, 2, 2, 20), status::success);
  ASSERT_EQ(flush(*record, 2, 2, 2), status::success);
  EXPECT_THAT(first(7, {.until = 3, .loss = Loss::all}), ElementsAre(0, 0, 20, 21, 0, 0, 0));
  EXPECT_EQ(outcome.changes, 2u) << "before and behind it";
  EXPECT_THAT(first(7, {.until = 3}), ElementsAre(10, 11, 20, 21, 14, 15, 0));
}

TEST_F(NvmePowerCutTest, EachNamespaceHasItsOwnFlushes) {
  auto const record = create();
  ASSERT_EQ(write(*record, 0, 1, 10), status::success);
  ASSERT_EQ(record->append({.kind = RecordKind::flush, .nsid = 2, .length = blocks * 4096, .before = 1}), status::success);
  EXPECT_THAT(first(1, {.until = 2, .loss = Loss::all}), ElementsAre(0));
}

TEST_F(NvmePowerCutTest, FlushesCanBeIgnored) {
  auto const record = create();
  for (unsigned n = 0; n < 4; n++) {
    ASSERT_EQ(write(*record, n, 1, 10 + n), status::success);
    ASSERT_EQ(flush(*record, 2 * n + 1), status::success);
  }
  EXPECT_THAT(first(4, {.until = 8, .loss = Loss::all}), ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(first(4, {.until = 8, .loss = Loss::all, .ignored_flushes = 2}), ElementsAre(10, 11, 0, 0));
  EXPECT_THAT(first(4, {.until = 8, .loss = Loss::all, .ignored_flushes = 9}), ElementsAre(0, 0, 0, 0));
}

TEST_F(NvmePowerCutTest, SomeOfItIsAnySubsetOfTheBlocks) {
  auto const record = create();
  ASSERT_EQ(write(*record, 0, 2, 10), status::success);
  ASSERT_EQ(write(*record, 1, 2, 20), status::success);
  std::set<std::vector<unsigned>> seen;
  for (std::uint64_t seed = 0; seed < 2000; seed++) seen.insert(first(3, {.until = 2, .loss = Loss::some, .seed = seed}));
  EXPECT_EQ(seen.size(), 2u * 3 * 2) << "each block has any of what it ever had";
  PowerCut const again{.until = 2, .loss = Loss::some, .seed = 5};
  EXPECT_EQ(after(again), after(again));
}

TEST_F(NvmePowerCutTest, WhatIsNotThereIsRefused) {
  auto const record = create();
  ASSERT_EQ(write(*record, 0, 1, 1), status::success);
  auto const reader = RecordReader::open(file.path()).value();
  EXPECT_TRUE(check({.until = 1}, reader));
  EXPECT_THAT(check({.until = 2}, reader).error().about, HasSubstr("there are no 2 entries; the record has 1"));
  EXPECT_THAT(check({.nsid = 3}, reader).error().about, HasSubstr("there is no namespace 3; the record has 2"));
  EXPECT_FALSE(check({.nsid = 0}, reader));
}

// For each block all the numbers that it has had, and how many of them the flushes have overtaken.
struct BlockHistory {
  struct Version {
    std::uint64_t entry = 0;
    unsigned number = 0;
  };
  std::vector<Version> versions{{}};
  std::size_t kept = 0;

  [[nodiscard]] bool may_be(unsigned number) const {
    return std::ranges::any_of(std::span(versions).subspan(kept), [&](Version const& each) { return each.number == number; });
  }
};

TEST_F(NvmePowerCutTest, WhatWasKeptIsAlwaysThere) {
  SCOPED_TRACE(fmt::format("SWIOMMU_SEED={}", conformance::seed()));
  std::mt19937_64 random(conformance::seed());
  auto const record = create();
  std::vector<std::vector<BlockHistory>> histories{std::vector<BlockHistory>(blocks)};  // after so many entries
  for (std::uint64_t entry = 0; entry < conformance::effort(200); entry++) {
    auto next = histories.back();
    std::uint64_t const count = 1 + random() % 16, start = random() % (blocks - count + 1),
                        before = entry - random() % (entry / 8 + 1);
    unsigned const number = 1 + static_cast<unsigned>(random() % 200);
    auto const change = [&](auto number_of) {
      for (std::uint64_t n = 0; n < count; n++) next[start + n].versions.push_back({entry + 1, number_of(n)});
    };
    auto const keep = [&](std::uint64_t from, std::uint64_t length) {
      for (std::uint64_t n = from; n < from + length; n++)
        while (next[n].kept + 1 < next[n].versions.size() && next[n].versions[next[n].kept + 1].entry <= before) next[n].kept++;
    };
    switch (random() % 8) {
      case 0:
        ASSERT_EQ(flush(*record, before), status::success);
        keep(0, blocks);
        break;
      case 1:
        ASSERT_EQ(flush(*record, before, start, count), status::success);
        keep(start, count);
        break;
      case 2:
        ASSERT_EQ(record->append({.kind = random() % 2 == 0 ? RecordKind::zeroes : RecordKind::deallocate,
                                  .nsid = 1,
                                  .offset = start * 512,
                                  .length = count * 512}),
                  status::success);
        change([](std::uint64_t) { return 0u; });
        break;
      default:
        ASSERT_EQ(write(*record, start, count, number), status::success);
        change([&](std::uint64_t n) { return number + static_cast<unsigned>(n); });
    }
    histories.push_back(std::move(next));
  }
  for (std::uint64_t until = 0; until < histories.size(); until++) {
    auto const all = after({.until = until}), kept = after({.until = until, .loss = Loss::all}),
               some = after({.until = until, .loss = Loss::some, .seed = random()});
    for (std::uint64_t block = 0; block < blocks; block++) {
      BlockHistory const& history = histories[until][block];
      ASSERT_EQ(all[block], history.versions.back().number) << "block " << block << " after " << until;
      ASSERT_EQ(kept[block], history.versions[history.kept].number) << "block " << block << " after " << until;
      ASSERT_TRUE(history.may_be(some[block])) << "block " << block << " after " << until << " is " << some[block];
    }
  }
}

}  // namespace
}  // namespace swiommu::vfio::nvme
