// The short paths stay short: instructions that one operation takes, counted. The limits are what g++ 12 makes of them for the
// baseline of x86-64, and a tenth more; a change that needs more says so here.
#include <fmt/format.h>

#include "instruction_counter.h"
#include "port_fixture.h"

namespace swiommu {
namespace {

class InstructionCounts : public PortTest {
 protected:
  static constexpr std::uint64_t pages = 256;
  static constexpr std::uint64_t tables = 1024;  // the guest's pages from here on hold its tables

  void SetUp() override {
#if !defined(__x86_64__) || !defined(NDEBUG) || defined(__clang__) || __GNUC__ != 12
    GTEST_SKIP() << "the limits are those of g++ 12, optimised, on x86-64";
#endif
    if (!processes_may_be_traced()) GTEST_SKIP() << "no process may be traced here";
    // Neighbours in the domain are none in memory, so that each page is an entry of its own.
    for (std::uint64_t n = 0; n < pages; n++) map(n, n ^ 1);
    ASSERT_TRUE(device->attach(domain));
    // Until then each guard orders itself, because of the wait of attach().
    for (std::uint64_t n = 0; n < Epoch::few_guards; n++) look(0);
  }

  void TearDown() override {
    if (took_) RecordProperty("instructions", fmt::format("{:.1f}", *took_));
  }

  void expect_at_most(double limit, FunctionRef<void(unsigned)> work, unsigned some = 8) {
    took_ = count_instructions_each(some, work);
    ASSERT_TRUE(took_) << "it did not come to its end";
    fmt::print("{:.1f} instructions, at most {}\n", *took_, limit);
    EXPECT_LE(*took_, limit);
    EXPECT_GE(*took_, limit / 2) << "so much less that this limit means nothing any more";
  }
  void look(std::uint64_t iova) {
    Port::Guard const guard(*port);
    auto const chunk = port->translate(guard, Iova(iova), Access::reading());
    if (chunk) seen_ += reinterpret_cast<std::uintptr_t>(chunk->data);
  }

  std::optional<double> took_;
  std::uint64_t seen_ = 0;
};

TEST_F(InstructionCounts, OfTheSamePageAgain) {
  expect_at_most(67, [&](unsigned times) {
    for (unsigned n = 0; n < times; n++) look(0);
  });
}

TEST_F(InstructionCounts, OfAnotherPageThatIsKept) {
  for (std::uint64_t n = 0; n < pages; n++) look(n * page);
  expect_at_most(119, [&](unsigned times) {
    for (unsigned n = 0; n < times; n++) look(n % pages * page);
  });
}

TEST_F(InstructionCounts, OfAPageThatIsNotKept) {
  expect_at_most(806, [&](unsigned times) {
    for (unsigned n = 0; n < times; n++) {
      if (n % 64 == 0) (void)domain->invalidate(Range::all());
      look(n % 64 * page);
    }
  });
}

TEST_F(InstructionCounts, OfAWalk) {
  expect_at_most(216, [&](unsigned times) {
    for (unsigned n = 0; n < times; n++) seen_ += domain->translate(n % pages * page, Access::reading(), Update::no).output;
  });
}

TEST_F(InstructionCounts, OfAWalkThroughTwoTables) {
  map(tables, tables, 512);
  UserTable user({.format = FormatName::x86_64, .levels = 4}, *domain, {tables * page, 1536 * page - 1});
  ASSERT_TRUE(user.map({0, pages * page - 1}, 0));
  auto const nested = NestedDomain::create(domain, user.description()).value();
  expect_at_most(1428, [&](unsigned times) {
    for (unsigned n = 0; n < times; n++) seen_ += nested->translate(n % pages * page, Access::reading(), Update::no).output;
  });
}

TEST_F(InstructionCounts, OfMappingAndUnmappingAPage) {
  auto const table = PageTable::create(vtd, host.tables).value();
  Gather gather;
  ASSERT_TRUE(table->map({0, page - 1}, 0, read_write, Existing::refuse, Cut::refuse, gather));
  expect_at_most(504, [&](unsigned times) {
    for (unsigned n = 0; n < times; n++) {
      Range const one = Range::block((1 + n % pages) * page, 12);
      (void)table->map(one, n * page, read_write, Existing::refuse, Cut::refuse, gather);
      (void)table->unmap(one, Cut::refuse, gather);
    }
  });
}

TEST_F(InstructionCounts, OfAHundredWordsOfATableThatAreFilledAndEmptied) {
  auto const table = PageTable::create(vtd, host.tables).value();
  Gather gather;
  ASSERT_TRUE(table->map({0, page - 1}, 0, read_write, Existing::refuse, Cut::refuse, gather));
  // A hundred words more each time.
  expect_at_most(
      3520,
      [&](unsigned hundreds) {
        Range const many{page, (1 + 100 * hundreds) * page - 1};
        (void)table->map(many, 0, read_write, Existing::refuse, Cut::refuse, gather, 12);
        (void)table->unmap(many, Cut::refuse, gather);
      },
      1);
}

}  // namespace
}  // namespace swiommu
