// The lowest tables of users that a port keeps, so that walking in one again reads one word: what serves from them, and when they
// are forgotten. That one serves is seen by what a user does without telling: nothing, while entries above are taken away.
#include <thread>

#include "conformance/effort.h"
#include "port_fixture.h"

namespace swiommu {
namespace {

struct PortLowestTableTest : PortTest, testing::WithParamInterface<FormatConfiguration> {
  static constexpr std::uint64_t block = std::uint64_t{1} << LowestTable::inputs_lg2, base = block, tables = 1024 * page;

  PortLowestTableTest() {
    map(0, 0, 2048);
    for (std::uint64_t n = 0; n < 4; n++) {
      EXPECT_TRUE(user.map({base + n * page, base + n * page + page - 1}, (n + 8) * page));
      EXPECT_TRUE(user.map({base + block + n * page, base + block + n * page + page - 1}, (n + 16) * page, Access::reading()));
      memory->data(n + 8)[0] = std::byte(n + 8);
      memory->data(n + 16)[0] = std::byte(n + 16);
    }
    nested = NestedDomain::create(domain, user.description()).value();
    EXPECT_TRUE(device->attach(nested));
  }
  // The word above the lowest table of an iova.
  [[nodiscard]] std::uint64_t* word_above(std::uint64_t iova) const {
    std::vector<WalkStep> steps;
    EXPECT_TRUE(nested->table_for(iova)->explain(iova, Access::reading(), steps));
    return reinterpret_cast<std::uint64_t*>(memory->data(0) + steps.at(steps.size() - 2).entry_address);
  }
  [[nodiscard]] Reason reading(std::uint64_t iova) const {
    auto const chunk = translate(iova, Access::reading());
    return chunk ? Reason::none : chunk.error().reason;
  }

  ShiftedMemory guest = guest_memory(*memory, memory->address(0).value);
  UserTable user{GetParam(), guest, {tables, tables + 64 * page - 1}};
  std::shared_ptr<NestedDomain> nested;
};

TEST_P(PortLowestTableTest, ServesTheOtherPagesOfItsBlockWithoutTheEntriesAbove) {
  EXPECT_EQ(read_byte(base), 8);
  *word_above(base) = 0;
  EXPECT_EQ(walks_of([&] { EXPECT_EQ(read_byte(base + page), 9); }), 1u);
  EXPECT_EQ(reading(base + 7 * page), Reason::not_mapped) << "what is not there is looked for from the root";
}

TEST_P(PortLowestTableTest, IsForgottenWithAnyInputOfItsBlockAndWithNoOther) {
  for (Range const told :
       {Range{base + 3 * page, base + 4 * page - 1}, Range{base + block - 1, base + block - 1}, Range::all()}) {
    std::uint64_t* const above = word_above(base);
    std::uint64_t const word = *above;
    EXPECT_EQ(read_byte(base), 8);
    *above = 0;
    ASSERT_TRUE(nested->invalidate({base + block, base + block + page - 1}));
    EXPECT_EQ(read_byte(base + page), 9);
    ASSERT_TRUE(nested->invalidate(told));
    EXPECT_EQ(reading(base + 2 * page), Reason::not_mapped);
    *above = word;
  }
}

TEST_P(PortLowestTableTest, ShowsWhatIsInItNow) {
  EXPECT_EQ(read_byte(base), 8);
  ASSERT_TRUE(user.map({base + 5 * page, base + 6 * page - 1}, 20 * page));
  memory->data(20)[0] = std::byte{20};
  EXPECT_EQ(read_byte(base + 5 * page), 20);
  ASSERT_TRUE(user.unmap({base + page, base + 2 * page - 1}));
  EXPECT_EQ(reading(base + page), Reason::not_mapped);
}

TEST_P(PortLowestTableTest, IsForgottenWhenTheParentTakesItsPageAway) {
  EXPECT_EQ(read_byte(base), 8);
  Walk const walk = user.table().walk(base, Access::reading(), Update::no);
  ASSERT_TRUE(domain->unmap(Range::block(walk.entry_address, LowestTable::bytes_lg2), Cut::split));
  EXPECT_EQ(reading(base + page), Reason::table_unreachable);
}

TEST_P(PortLowestTableTest, GrantsNoMoreThanItsEntriesDo) {
  EXPECT_EQ(read_byte(base + block), 16);
  EXPECT_EQ(translate(base + block + page, Access::writing()).error().reason, Reason::permission);
  EXPECT_EQ(read_byte(base + block + page), 17);
}

TEST_P(PortLowestTableTest, BelongsToOneDomain) {
  UserTable other{GetParam(), guest, {tables + 64 * page, tables + 128 * page - 1}};
  ASSERT_TRUE(other.map({base, base + 4 * page - 1}, 30 * page));
  for (std::uint64_t n = 0; n < 4; n++) memory->data(30 + n)[0] = std::byte(30 + n);
  auto const second = NestedDomain::create(domain, other.description()).value();
  ASSERT_TRUE(device->attach(second, Pasid{3}));
  for (std::uint64_t n = 0; n < 4; n++) {
    EXPECT_EQ(read_byte(base + n * page), 8 + n);
    std::uint8_t byte = 0;
    ASSERT_TRUE(port->read(Iova(base + n * page), &byte, 1, Pasid{3}).ok());
    EXPECT_EQ(byte, 30 + n);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, PortLowestTableTest,
                         testing::Values(FormatConfiguration{.format = FormatName::x86_64, .levels = 4}, vtd,
                                         FormatConfiguration{.format = FormatName::amd_v1, .levels = 4},
                                         FormatConfiguration{.format = FormatName::riscv, .levels = 4}));

// Flags of the way to a table are set when it is met first; those of its own entries by each walk.
TEST_F(PortTest, AKeptLowestTableStillGetsItsFlags) {
  map(0, 0, 2048);
  FormatConfiguration const format{.format = FormatName::x86_64, .levels = 4, .accessed_updates = true, .dirty_updates = true};
  auto const guest = guest_memory(*memory, memory->address(0).value);
  UserTable user{format, guest, {1024 * page, 1088 * page - 1}};
  ASSERT_TRUE(user.map({0, 4 * page - 1}, 8 * page));
  auto const nested = NestedDomain::create(domain, user.description()).value();
  ASSERT_TRUE(device->attach(nested));
  auto const flags = [&](Flag flag) {
    std::uint64_t pages = 0;
    EXPECT_TRUE(
        user.table().read_flags(flag, {0, 4 * page - 1}, Clear::no, [&](Range range) { pages += range.length() / page; }));
    return pages;
  };
  ASSERT_TRUE(user.table().read_flags(Flag::accessed, {0, 4 * page - 1}, Clear::yes, [](Range) {}));
  for (std::uint64_t n = 0; n < 4; n++) {
    read_byte(n * page);
    EXPECT_EQ(flags(Flag::accessed), n + 1);
    EXPECT_EQ(flags(Flag::dirty), n);
    std::uint8_t const byte = 1;
    ASSERT_TRUE(port->write(Iova(n * page), &byte, 1).ok());
    EXPECT_EQ(flags(Flag::dirty), n + 1);
  }
}

// A table that is unlinked with its leaves still in it serves nobody once its inputs are forgotten: neither it nor what came of
// it.
TEST_P(PortLowestTableTest, ConcurrencyOfForgettingATableAndUsingIt) {
  constexpr std::uint64_t pages = 256;
  ASSERT_TRUE(user.map({base, base + pages * page - 1}, 8 * page));
  std::uint64_t* const above = word_above(base);
  std::uint64_t const word = *above;
  std::atomic<std::uint64_t> state = 0, turns = 0, wrong = 0;  // an odd state: it is gone
  std::atomic<bool> done = false;
  std::thread dma([&] {
    for (std::uint64_t n = 0; !done; n++) {
      std::uint64_t const before = state;
      bool const found = translate(base + n * 37 % pages * page, Access::reading()).has_value();
      if (found && before % 2 != 0 && before == state) wrong++;
      turns++;
    }
  });
  auto const wait_for = [&](std::uint64_t more) {
    for (std::uint64_t const from = turns; turns < from + more;) std::this_thread::yield();
  };
  for (unsigned n = 0; n < conformance::effort(400); n++) {
    __atomic_store_n(above, 0, __ATOMIC_RELEASE);
    EXPECT_TRUE(nested->invalidate({base, base + block - 1}));
    state++;
    wait_for(pages);
    state++;
    __atomic_store_n(above, word, __ATOMIC_RELEASE);
    wait_for(pages / 2);
  }
  done = true;
  dma.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace swiommu
