#include "swiommu/domain/paging_domain.h"

#include <gtest/gtest.h>
#include <array>
#include <thread>
#include <vector>

#include "flat_memory.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/shadow_domain.h"
#include "user_table.h"

namespace swiommu {
namespace {

constexpr std::uint64_t page = FlatMemory::page;
constexpr Attributes read_write{.access = Access::both()}, read_only{.access = Access::reading()};
constexpr Range pages(std::uint64_t first, std::uint64_t count = 1) { return {first * page, (first + count) * page - 1}; }
int code(auto const& outcome) { return outcome ? 0 : outcome.error().code; }

struct PagingDomainTest : testing::Test {
  std::shared_ptr<PagingDomain> make(FormatConfiguration const& format = {.levels = 3}, Limits limits = {}) const {
    return PagingDomain::create(host, format, limits).value();
  }
  std::expected<std::uint64_t, Reason> output(Domain const& of, std::uint64_t input, Access access = Access::reading()) const {
    auto const t = of.translate(input, access, Update::no);
    if (!t.ok()) return std::unexpected(t.reason);
    return t.output;
  }
  std::shared_ptr<FlatMemory> memory = std::make_shared<FlatMemory>(1024, std::uint64_t{1} << 32);
  Host host = Host::create(memory).value();
  std::shared_ptr<PagingDomain> domain = make();
};

TEST_F(PagingDomainTest, MapsReplacesAndUnmaps) {
  ASSERT_TRUE(domain->map(pages(3, 2), memory->address(7), read_write));
  EXPECT_EQ(output(*domain, 4 * page + 5), memory->address(8).value + 5);
  EXPECT_EQ(output(*domain, 5 * page), std::unexpected(Reason::not_mapped));
  ASSERT_TRUE(domain->replace(pages(4, 2), memory->address(20), read_only));  // what is mapped, and what is not
  EXPECT_EQ(output(*domain, 3 * page), memory->address(7).value);
  EXPECT_EQ(output(*domain, 4 * page), memory->address(20).value);
  EXPECT_EQ(output(*domain, 5 * page), memory->address(21).value);
  EXPECT_EQ(output(*domain, 5 * page, Access::writing()), std::unexpected(Reason::permission));
  EXPECT_EQ(domain->unmap(pages(0, 100)).value(), 3 * page);  // holes are passed over
  EXPECT_EQ(domain->unmap(pages(0, 100)).value(), 0u);
  EXPECT_EQ(output(*domain, 3 * page), std::unexpected(Reason::not_mapped));
}

TEST_F(PagingDomainTest, UsesNoLargerLeavesThanAsked) {
  auto const count = [&](Range range) {
    unsigned leaves = 0;
    domain->visit(range, [&](Leaf const&) { return ++leaves, true; });
    return leaves;
  };
  Range const first{0x200000, 0x3fffff}, second{0x400000, 0x5fffff};
  ASSERT_TRUE(domain->map(first, memory->address(0), read_write, 12));
  EXPECT_EQ(count(first), 512u);
  EXPECT_EQ(output(*domain, 0x3ff123), memory->address(511).value + 0x123);
  ASSERT_TRUE(domain->map(second, memory->address(0), read_write, 21));
  EXPECT_EQ(count(second), 1u);
  EXPECT_EQ(domain->unmap(pages(0x201)).value(), page);
  EXPECT_EQ(code(domain->map(pages(0x201), memory->address(0), read_write, 11)), EINVAL) << "no leaf is that small";
  EXPECT_EQ(code(make()->map(pages(0x201), memory->address(0), read_write, 11)), EINVAL) << "nor where there is no table yet";
}

TEST_F(PagingDomainTest, RefusesWithoutChange) {
  ASSERT_TRUE(domain->map({0x200000, 0x3fffff}, memory->address(0), read_write));
  auto const tables = host.tables->bytes_in_use();
  auto const generation = domain->generation();
  EXPECT_EQ(code(domain->map(pages(0x1ff, 2), memory->address(0), read_write)), EEXIST);
  EXPECT_EQ(code(domain->map({1, page}, memory->address(0), read_write)), EINVAL);
  EXPECT_EQ(code(domain->map(pages(0), memory->address(0) + 1, read_write)), EINVAL);
  EXPECT_EQ(code(domain->map(pages(0), memory->address(0), {})), EINVAL);
  EXPECT_EQ(code(domain->map({bit(39), bit(39) + page - 1}, memory->address(0), read_write)), ERANGE);
  EXPECT_EQ(code(domain->map(pages(0), HostAddress(bit(60)), read_write)), ERANGE);
  EXPECT_EQ(code(domain->unmap(pages(0x200))), EINVAL);  // cuts the large entry
  EXPECT_EQ(code(domain->unmap({0, bit(39)})), ERANGE);
  EXPECT_EQ(code(domain->read_dirty(pages(0), Clear::no, [](Range) {})), EOPNOTSUPP);
  EXPECT_EQ(code(PagingDomain::create(host, {.levels = 9})), EINVAL);
  EXPECT_EQ(host.tables->bytes_in_use(), tables);
  EXPECT_EQ(domain->generation(), generation);
  EXPECT_EQ(output(*domain, pages(0x1ff).start), std::unexpected(Reason::not_mapped));
  EXPECT_EQ(output(*domain, 0x3ff000), memory->address(511).value);
}

TEST_F(PagingDomainTest, SplitsIfAsked) {
  ASSERT_TRUE(domain->map({0x200000, 0x3fffff}, memory->address(0), read_write));
  EXPECT_EQ(domain->unmap({0x201000, 0x201fff}, Cut::split).value(), page);
  EXPECT_EQ(output(*domain, 0x200000), memory->address(0).value);
  EXPECT_EQ(output(*domain, 0x201000), std::unexpected(Reason::not_mapped));
  EXPECT_EQ(output(*domain, 0x3ffabc), memory->address(511).value + 0xabc);
  EXPECT_EQ(domain->unmap({0, 0x3fffff}).value(), 0x1ff000u);
}

TEST_F(PagingDomainTest, LimitsHoldWhateverIsMapped) {
  auto const limited = make({.levels = 3}, {.aperture = {0x1800, 0x4fff}, .rights = Access::reading()});
  ASSERT_TRUE(limited->map(pages(0, 16), memory->address(0), read_write));
  EXPECT_EQ(output(*limited, 0x17ff), std::unexpected(Reason::out_of_range));
  EXPECT_EQ(output(*limited, 0x1800), memory->address(1).value + 0x800);
  EXPECT_EQ(output(*limited, 0x5000), std::unexpected(Reason::out_of_range));
  EXPECT_EQ(output(*limited, 0x1800, Access::writing()), std::unexpected(Reason::permission));
  auto const edge = limited->translate(0x1900, Access::reading(), Update::no);
  EXPECT_TRUE(limited->limits().aperture.contains(Range::block(0x1900, edge.size_lg2)));
  EXPECT_EQ(edge.attributes.access, Access::reading());
  EXPECT_FALSE(limited->locate(0x1800, Access::writing()));
  EXPECT_EQ(limited->locate(0x1900, Access::reading()).data, memory->data(1) + 0x900);
}

TEST_F(PagingDomainTest, MayRefuseWhatCannotBeWritten) {
  auto const parent = make({.levels = 3}, {.writable_only = true});
  EXPECT_EQ(code(parent->map(pages(0), memory->address(0), read_only)), EINVAL);
  ASSERT_TRUE(parent->map(pages(0), memory->address(1), read_write));
  EXPECT_EQ(code(parent->replace(pages(0), memory->address(0), read_only)), EINVAL);
  EXPECT_EQ(output(*parent, 0), memory->address(1).value);
  EXPECT_TRUE(parent->map(pages(1), memory->address(0), {.access = Access::writing()}));
}

// Few inputs are told one by one; what is more, or comes from under the domain, gives it a new generation.
TEST_F(PagingDomainTest, TellsWhoKeepsTranslationsWhenAndOnlyWhenSomethingGoesStale) {
  struct Keeper final : KeptTranslations {
    std::vector<Range> forgotten;
    unsigned looks = 0;
    void forget(Range inputs) noexcept override { forgotten.push_back(inputs); }
    void look_again() noexcept override { looks++; }
  } keeper;
  auto const child = IdentityDomain::create(domain).value();
  Epoch epoch(host.grace);
  ASSERT_TRUE(child->add_listener(epoch, &keeper));
  struct Change {
    bool domain, child;  // has a new generation
    std::vector<Range> forgotten;
    unsigned looks;
    bool operator==(Change const&) const = default;
  };
  auto const change = [&](auto call) {
    keeper.forgotten.clear();
    keeper.looks = 0;
    auto const before = std::array{domain->generation(), child->generation()};
    EXPECT_TRUE(call());
    return Change{domain->generation() != before[0], child->generation() != before[1], keeper.forgotten, keeper.looks};
  };
  EXPECT_EQ(change([&] { return domain->map(pages(0, 4), memory->address(0), read_write); }), (Change{false, false, {}, 0}));
  Change const small{false, true, {pages(0)}, 1};
  EXPECT_EQ(change([&] { return domain->replace(pages(0), memory->address(9), read_write); }), small);
  EXPECT_EQ(change([&] { return domain->unmap(pages(0)); }), small);
  EXPECT_EQ(change([&] { return domain->invalidate(pages(0)); }), small);
  EXPECT_EQ(change([&] { return domain->invalidate(Range::all()); }), (Change{true, true, {}, 2}));
  // not the business of what is under it
  EXPECT_EQ(change([&] { return child->invalidate(pages(7)); }), (Change{false, false, {pages(7)}, 0}));
  EXPECT_EQ(change([&] { return child->invalidate(Range::all()); }), (Change{false, true, {}, 1}));
  child->remove_listener(epoch);
  EXPECT_EQ(change([&] { return domain->unmap(pages(1)); }), (Change{false, true, {}, 0}));
}

TEST_F(PagingDomainTest, HarvestsWhatWasWritten) {
  auto const tracked = make({.levels = 3, .dirty_updates = true});
  ASSERT_TRUE(tracked->map(pages(0, 8), memory->address(0), read_write));
  ASSERT_TRUE(tracked->map({0x200000, 0x3fffff}, memory->address(512), read_write));
  auto const harvest = [&](Range range, Clear clear) {
    std::vector<Range> ranges;
    EXPECT_TRUE(tracked->read_dirty(range, clear, [&](Range part) { ranges.push_back(part); }));
    return ranges;
  };
  EXPECT_TRUE(tracked->translate(3 * page, Access::writing(), Update::yes).ok());
  EXPECT_TRUE(tracked->translate(4 * page, Access::reading(), Update::yes).ok());
  EXPECT_TRUE(tracked->translate(5 * page, Access::writing(), Update::no).ok());
  EXPECT_TRUE(tracked->translate(0x345678, Access::both(), Update::yes).ok());
  Range const everything{0, 0x3fffff}, large{0x200000, 0x3fffff};
  EXPECT_EQ(harvest(everything, Clear::no), (std::vector{pages(3), large}));
  EXPECT_EQ(harvest({0x300000, 0x300fff}, Clear::yes), (std::vector<Range>{{0x300000, 0x300fff}}));  // a part: told, not cleared
  EXPECT_EQ(harvest(everything, Clear::yes), (std::vector{pages(3), large}));
  EXPECT_TRUE(harvest(everything, Clear::yes).empty());
  EXPECT_EQ(code(tracked->read_dirty({0, bit(39)}, Clear::no, [](Range) {})), ERANGE);
  EXPECT_TRUE(tracked->locate(3 * page, Access::writing()));  // who asks for the bytes may write them
  EXPECT_EQ(harvest(everything, Clear::no), (std::vector{pages(3)}));
  ASSERT_TRUE(tracked->unmap(pages(3)));
  ASSERT_TRUE(tracked->map(pages(3), memory->address(3), read_write));
  EXPECT_TRUE(harvest(everything, Clear::no).empty());  // a new mapping was not written through yet
}

TEST_F(PagingDomainTest, ForgetsChildrenAndListenersThatAreGone) {
  {
    auto const child = IdentityDomain::create(domain).value();
  }
  {
    ShiftedMemory const guest = guest_memory(*memory, memory->range().start);
    UserTable user({.format = FormatName::x86_64, .levels = 4}, guest, pages(64, 64));
    auto const nested = NestedDomain::create(domain, user.description()).value();
    auto const shadow = ShadowDomain::create(nested, user.description()).value();
  }
  Epoch epoch(host.grace);
  ASSERT_TRUE(domain->add_listener(epoch));
  ASSERT_TRUE(domain->add_listener(epoch));  // twice: on two ways
  domain->remove_listener(epoch);
  domain->remove_listener(epoch);
  domain->remove_listener(epoch);  // one more than there were
  epoch.enter();
  std::jthread([&] { EXPECT_TRUE(domain->invalidate(Range::all())); }).join();  // does not wait for it
  epoch.leave();
  EXPECT_TRUE(domain->map(pages(0), memory->address(0), read_write));
  EXPECT_TRUE(domain->unmap(pages(0)));
}

TEST_F(PagingDomainTest, TellsShadowsHoweverFarUp) {
  ShiftedMemory const guest = guest_memory(*memory, memory->range().start);
  UserTable user({.format = FormatName::x86_64, .levels = 4}, guest, pages(64, 64));
  ASSERT_TRUE(user.map(pages(1), 2 * page));
  ASSERT_TRUE(domain->map(pages(64, 64), memory->address(64), read_write));
  auto const between = IdentityDomain::create(domain).value();
  auto const shadow = ShadowDomain::create(between, user.description()).value();
  ASSERT_TRUE(shadow->refresh(Range::all()));
  EXPECT_EQ(output(*shadow, page), std::unexpected(Reason::output_unreachable));
  ASSERT_TRUE(domain->map(pages(2), memory->address(5), read_write));
  EXPECT_EQ(output(*shadow, page), memory->address(5).value);
  ASSERT_TRUE(domain->replace(pages(2), memory->address(6), read_only));
  EXPECT_EQ(output(*shadow, page), memory->address(6).value);
  EXPECT_EQ(output(*shadow, page, Access::writing()), std::unexpected(Reason::permission));
  ASSERT_TRUE(domain->unmap(pages(2)));
  EXPECT_EQ(output(*shadow, page), std::unexpected(Reason::output_unreachable));
}

TEST_F(PagingDomainTest, GivesBackAllTables) {
  auto const before = host.tables->bytes_in_use();
  {
    auto const busy = make({.format = FormatName::amd_v1, .levels = 6});
    for (unsigned n = 12; n < 60; n += 3) ASSERT_TRUE(busy->map({bit(n), bit(n) + page - 1}, memory->address(n), read_write));
    ASSERT_TRUE(busy->unmap({0, bit(40) - 1}));
  }
  EXPECT_EQ(host.tables->bytes_in_use(), before);
}

}  // namespace
}  // namespace swiommu
