#include "swiommu/domain/shadow_domain.h"

#include <gtest/gtest.h>

#include "nesting/small_guest.h"

namespace swiommu {
namespace {

class Shadow : public nesting::SmallGuest {
 protected:
  [[nodiscard]] std::shared_ptr<ShadowDomain> shadow(FormatConfiguration const& format = vtd, Limits limits = {}) const {
    return *ShadowDomain::create(parent, {.format = format, .root = root}, limits);
  }
  [[nodiscard]] static Reason reason(Domain const& domain, std::uint64_t iova, Access access = Access::reading()) {
    return domain.translate(iova, access, Update::yes).reason;
  }
  // All that it holds.
  static std::vector<Range> ranges(ShadowDomain const& domain) {
    std::vector<Range> all;
    domain.visit(Range::all(), [&](Leaf const& leaf) {
      all.push_back(leaf.range);
      return true;
    });
    return all;
  }
};

TEST_F(Shadow, StartsEmptyAndReadsNothingUntilItIsRefreshed) {
  leaf(3) = data | rw;
  std::uint64_t const reads = memory->locates;
  auto const domain = shadow();
  EXPECT_EQ(memory->locates, reads);
  EXPECT_EQ(reason(*domain, iova(3)), Reason::not_mapped);
  ASSERT_TRUE(domain->refresh(Range::block(iova(3), 12)));
  Translation const t = domain->translate(iova(3) + 5, Access::both(), Update::no);
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t.output, to_host(data) + 5);
  EXPECT_EQ(t.attributes.access, Access::both());
}

TEST_F(Shadow, RemembersWhatIsNotMappedUntilThatIsRefreshed) {
  auto const domain = shadow();
  ASSERT_TRUE(domain->refresh(Range::all()));
  leaf(3) = data | rw;
  leaf(4) = data | rw;
  EXPECT_EQ(reason(*domain, iova(3)), Reason::not_mapped);
  ASSERT_TRUE(domain->refresh(Range::block(iova(4), 12)));
  EXPECT_EQ(reason(*domain, iova(3)), Reason::not_mapped);
  EXPECT_EQ(reason(*domain, iova(4)), Reason::none);
  // Invalidating is refreshing.
  ASSERT_TRUE(static_cast<Domain&>(*domain).invalidate(Range::all()));
  EXPECT_EQ(reason(*domain, iova(3)), Reason::none);
}

TEST_F(Shadow, ARefreshThatFindsNothingNewDisturbsNobody) {
  for (unsigned page = 0; page < 64; page++) leaf(page) = (data + page * 0x1000) | rw;
  auto const domain = shadow();
  ASSERT_TRUE(domain->refresh(Range::all()));
  nesting::Attached a(host, domain);
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  std::uint64_t const walks = a.port->walks(), generation = domain->generation();
  ASSERT_TRUE(domain->refresh({0, low_bits(39)}));
  ASSERT_TRUE(domain->refresh(Range::block(iova(3), 12)));
  EXPECT_EQ(domain->generation(), generation);
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  EXPECT_EQ(a.port->walks(), walks);
  leaf(3) = 0;
  ASSERT_TRUE(domain->refresh(Range::block(iova(3), 12)));
  EXPECT_EQ(a.read(iova(3)), Reason::not_mapped);
}

TEST_F(Shadow, AnIovaOfALargeLeafThatIsGoneStandsForAllOfIt) {
  word(level1 + 8) = 0x80 | rw;  // 2 MiB from guest address 0, of which the parent has the second half
  auto const domain = shadow();
  std::uint64_t const block = bit(21);
  ASSERT_TRUE(domain->refresh(Range::block(block, 21)));
  ASSERT_EQ(reason(*domain, block + data), Reason::none);
  word(level1 + 8) = 0;
  ASSERT_TRUE(domain->refresh(Range::block(block + 0x5000, 12)));
  EXPECT_EQ(reason(*domain, block + data), Reason::not_mapped);
  EXPECT_TRUE(ranges(*domain).empty());
}

TEST_F(Shadow, FollowsItsParentByItself) {
  leaf(3) = data | rw;
  leaf(4) = nowhere | rw;
  auto const domain = shadow();
  nesting::Attached a(host, domain);
  ASSERT_TRUE(domain->refresh(Range::all()));
  word(data) = 0x1111, word(data + 0x1000) = 0x2222;
  EXPECT_EQ(a.read(iova(4)), Reason::output_unreachable);
  ASSERT_TRUE(parent->map({nowhere, nowhere + 0xfff}, HostAddress(to_host(data + 0x1000)), {.access = Access::both()}));
  EXPECT_EQ(a.read(iova(4)), Reason::none);
  EXPECT_EQ(a.word, 0x2222u);
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  ASSERT_TRUE(parent->replace({data, data + 0xfff}, HostAddress(to_host(data + 0x1000)), {.access = Access::reading()}));
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  EXPECT_EQ(a.word, 0x2222u);
  EXPECT_EQ(a.write(iova(3), 1), Reason::permission);
  ASSERT_TRUE(parent->unmap({level0, level0 + 0xfff}));
  EXPECT_EQ(a.read(iova(3)), Reason::table_unreachable);
  EXPECT_TRUE(ranges(*domain).empty());
}

TEST_F(Shadow, FollowsWhatIsUnderItsParent) {
  // The parent is a nested domain of its own, over a table in the same memory that maps 1:1.
  std::uint64_t const lower = guest + 0x80000;
  word(lower) = (lower + 0x1000) | rw;
  word(lower + 0x1000) = (lower + 0x2000) | rw;
  for (std::uint64_t page = guest; page < guest + size; page += 0x1000) word(lower + 0x2000 + (page >> 9)) = page | rw;
  leaf(3) = data | rw;
  ASSERT_TRUE(parent->unmap({data, data + 0xfff}));
  auto const middle = *NestedDomain::create(parent, UserPageTable{.format = vtd, .root = lower});
  auto const domain = *ShadowDomain::create(middle, {.format = vtd, .root = root});
  ASSERT_TRUE(domain->refresh(Range::all()));
  EXPECT_EQ(reason(*domain, iova(3)), Reason::output_unreachable);
  ASSERT_TRUE(parent->map({data, data + 0xfff}, HostAddress(to_host(data)), {.access = Access::both()}));
  EXPECT_EQ(domain->translate(iova(3), Access::both(), Update::no).output, to_host(data));
  word(lower + 0x2000 + (data >> 9)) = (data + 0x1000) | rw;
  ASSERT_TRUE(middle->invalidate(Range::block(data, 12)));
  EXPECT_EQ(domain->translate(iova(3), Access::both(), Update::no).output, to_host(data + 0x1000));
  ASSERT_TRUE(parent->unmap({data, data + 0x1fff}));
  EXPECT_EQ(reason(*domain, iova(3)), Reason::output_unreachable);
}

TEST_F(Shadow, FaultsSayWhatTheUserPageTableSays) {
  leaf(3) = data | r;
  leaf(4) = data | rw | bit(62);
  leaf(5) = (data + 0x1000) | rw;
  word(level1 + 8) = nowhere | rw;
  protect(data + 0x1000, Access::reading());
  auto const domain = shadow();
  ASSERT_TRUE(domain->refresh(Range::all()));
  EXPECT_EQ(reason(*domain, iova(2)), Reason::not_mapped);
  EXPECT_EQ(reason(*domain, iova(3), Access::writing()), Reason::permission);
  EXPECT_EQ(reason(*domain, iova(4)), Reason::malformed);
  EXPECT_EQ(reason(*domain, 0x200000), Reason::table_unreachable);
  EXPECT_EQ(reason(*domain, bit(39)), Reason::out_of_range);
  Translation const t = domain->translate(iova(5), Access::writing(), Update::no);
  EXPECT_EQ(t.reason, Reason::permission);
  EXPECT_EQ(t.where, parent.get());
  // What the guest has allowed since is not known yet.
  leaf(3) = data | rw;
  EXPECT_EQ(reason(*domain, iova(3), Access::writing()), Reason::permission);
}

TEST_F(Shadow, MarksInAdvanceWhatDmaMayWrite) {
  parent = *PagingDomain::create(host, vtd_flags);
  ASSERT_TRUE(parent->map({guest, guest + size - 1}, HostAddress(host_base), {.access = Access::both()}));
  leaf(3) = data | rw;
  leaf(4) = (data + 0x1000) | r;
  leaf(5) = 0;
  auto const domain = shadow(vtd_flags);
  ASSERT_TRUE(domain->refresh(Range::all()));
  EXPECT_EQ(leaf(3), data | rw | accessed | dirty);
  EXPECT_EQ(leaf(4), (data + 0x1000) | r | accessed);
  EXPECT_EQ(leaf(5), 0u);
  nesting::Attached a(host, domain);
  for (unsigned n = 0; n < 3; n++) {  // each harvest says so again
    EXPECT_EQ(a.write(iova(3), n), Reason::none);
    bool data_is_dirty = false, read_only_is_dirty = false;
    ASSERT_TRUE(parent->read_dirty({data, data + 0x1fff}, Clear::yes, [&](Range range) {
      data_is_dirty = data_is_dirty || range.contains(data);
      read_only_is_dirty = read_only_is_dirty || range.contains(data + 0x1000);
    }));
    EXPECT_TRUE(data_is_dirty);
    EXPECT_FALSE(read_only_is_dirty);
  }
}

TEST_F(Shadow, WhatNeedsAFlagThatCannotBeWrittenIsNotAllowed) {
  word(root) |= accessed, word(level1) |= accessed;
  leaf(3) = data | rw | accessed;  // not dirty
  leaf(4) = data | rw | accessed | dirty;
  leaf(5) = data | rw;
  protect(level0, Access::reading());
  auto const domain = shadow(vtd_flags);
  ASSERT_TRUE(domain->refresh(Range::all()));
  auto const two_dimensional = nested(vtd_flags);
  for (unsigned page = 3; page < 6; page++)
    for (Access const access : {Access::reading(), Access::writing()})
      EXPECT_EQ(domain->translate(iova(page), access, Update::yes).ok(),
                two_dimensional->translate(iova(page), access, Update::yes).ok())
          << page << (access.write ? " write" : " read");
  EXPECT_EQ(reason(*domain, iova(3)), Reason::none);
  EXPECT_NE(reason(*domain, iova(3), Access::writing()), Reason::none);
}

TEST_F(Shadow, SnoopingAskedForByEitherTableHolds) {
  leaf(3) = data | rw;
  leaf(4) = (data + 0x1000) | rw | 1 << 11;
  ASSERT_TRUE(parent->replace({data, data + 0xfff}, HostAddress(to_host(data)), {.access = Access::both(), .coherent = true}));
  auto const domain = shadow();
  ASSERT_TRUE(domain->refresh(Range::all()));
  EXPECT_TRUE(domain->translate(iova(3), Access::both(), Update::no).attributes.coherent);
  EXPECT_TRUE(domain->translate(iova(4), Access::both(), Update::no).attributes.coherent);
}

TEST_F(Shadow, IovasThatDifferInAnIgnoredTopByteAreOne) {
  FormatConfiguration const tagged{
      .format = FormatName::arm_stage1, .granule_lg2 = 12, .input_bits = 39, .top_byte_ignored = true};
  word(root) = level1 | 3;
  word(level1) = level0 | 3;
  auto const domain = shadow(tagged);
  leaf(3) = data | 0x443;
  std::uint64_t const tag = std::uint64_t{0x5a} << 56;
  ASSERT_TRUE(domain->refresh({tag | iova(3), tag | (iova(3) + 0xfff)}));
  EXPECT_EQ(domain->translate(iova(3), Access::both(), Update::no).output, to_host(data));
  EXPECT_EQ(domain->translate(tag | (iova(3) + 7), Access::both(), Update::no).output, to_host(data) + 7);
  leaf(3) = 0;
  ASSERT_TRUE(domain->refresh({iova(0), tag | (iova(3) + 0xfff)}));
  EXPECT_FALSE(domain->translate(tag | iova(3), Access::both(), Update::no).ok());
}

TEST_F(Shadow, AnApertureThatCutsAPageIsKeptToTheByte) {
  leaf(3) = data | rw;
  leaf(4) = (data + 0x1000) | rw;
  auto const domain = shadow(vtd, {.aperture = {iova(3), iova(4) + 0x7ff}, .rights = Access::reading()});
  ASSERT_TRUE(domain->refresh(Range::all()));
  EXPECT_EQ(reason(*domain, iova(4) + 0x7ff), Reason::none);
  EXPECT_EQ(reason(*domain, iova(4) + 0x800), Reason::out_of_range);
  EXPECT_EQ(reason(*domain, iova(3), Access::writing()), Reason::permission);
}

TEST_F(Shadow, IsEmptyAfterEachFailureToFindMemory) {
  leaf(3) = data | rw;
  word(level1 + 8) = 0x200000 | 1 << 7 | rw;
  ASSERT_TRUE(parent->map({0x234000, 0x234fff}, HostAddress(host_base + 0x5000), {.access = Access::both()}));
  bool succeeded = false;
  for (unsigned allocations = 0; !succeeded; allocations++) {
    ASSERT_LT(allocations, 100u);
    auto const domain = shadow();
    ASSERT_TRUE(domain->refresh(Range::block(0, 12)));
    std::uint64_t const before = host.tables->tables_in_use();
    host.tables->fail_after(allocations);
    auto const refreshed = domain->refresh(Range::all());
    host.tables->fail_after(TableAllocator::never);
    succeeded = refreshed.has_value();
    if (succeeded) break;
    EXPECT_EQ(refreshed.error().code, ENOMEM);
    EXPECT_TRUE(ranges(*domain).empty());
    EXPECT_LE(host.tables->tables_in_use(), before);
    EXPECT_NE(reason(*domain, iova(3)), Reason::none);
    ASSERT_TRUE(domain->refresh(Range::all()));
    EXPECT_EQ(ranges(*domain).size(), 2u);
  }
}

TEST_F(Shadow, GivesUpBeyondItsBudgetAndIsEmptyInBothHalves) {
  // A table of x86-64 with a page at either end of the space.
  FormatConfiguration const x86{.format = FormatName::x86_64, .levels = 4};
  std::uint64_t const level2 = guest + 0x3000;
  for (std::uint64_t const item : {std::uint64_t{0}, std::uint64_t{511}}) {
    word(root + item * 8) = level2 | 7;
    word(level2 + item * 8) = level1 | 7;
    word(level1 + item * 8) = level0 | 7;
    leaf(item) = data | 7;
  }
  for (std::uint64_t const budget : {100u, 1500u, 1000000u}) {
    auto const domain = *ShadowDomain::create(parent, {.format = x86, .root = root}, {}, x86, budget);
    ASSERT_TRUE(domain->refresh({0, 0xfff}));
    ASSERT_TRUE(domain->refresh({~std::uint64_t{0xfff}, ~std::uint64_t{0}}));
    EXPECT_EQ(reason(*domain, ~std::uint64_t{0}), Reason::none);
    EXPECT_EQ(reason(*domain, 0), Reason::none);
    auto const refreshed = domain->refresh(Range::all());
    EXPECT_EQ(refreshed.has_value(), budget == 1000000);
    if (refreshed) continue;
    EXPECT_EQ(refreshed.error().code, E2BIG);
    EXPECT_TRUE(ranges(*domain).empty());
    EXPECT_NE(reason(*domain, ~std::uint64_t{0}), Reason::none);
  }
}

TEST_F(Shadow, ARefreshMayBeDoneInSteps) {
  for (unsigned page = 0; page < 400; page++) leaf(page) = (data + (page % 64) * 0x1000) | rw;
  auto const domain = shadow();
  RefreshProgress progress = domain->begin_refresh(Range::all());
  unsigned steps = 1;
  while (!*domain->refresh_some(progress, 16)) {
    steps++;
    EXPECT_LE(ranges(*domain).size(), 16u * steps);
  }
  EXPECT_TRUE(progress.finished);
  EXPECT_GE(steps, 1536u / 16);
  EXPECT_EQ(ranges(*domain).size(), 400u);
  std::uint64_t const generation = domain->generation();
  for (progress = domain->begin_refresh(Range::all()); !*domain->refresh_some(progress, 100);) {
  }
  EXPECT_EQ(domain->generation(), generation);
  for (unsigned page = 0; page < 400; page++) leaf(page) = 0;
  for (progress = domain->begin_refresh({iova(100), iova(300) - 1}); !*domain->refresh_some(progress, 16);) {
  }
  EXPECT_EQ(ranges(*domain).size(), 200u);
  EXPECT_EQ(reason(*domain, iova(99)), Reason::none);
  EXPECT_EQ(reason(*domain, iova(100)), Reason::not_mapped);
}

TEST_F(Shadow, WhatFindsNoMemoryInAStepIsMissingAndTheRestIsThere) {
  leaf(3) = data | rw;
  std::uint64_t const far = guest + 0x3000;
  word(level1 + 8) = far | rw;
  word(far) = data | rw;
  auto const domain = shadow();
  ASSERT_TRUE(domain->refresh(Range::block(0, 21)));
  host.tables->fail_after(0);
  RefreshProgress progress = domain->begin_refresh(Range::all());
  while (!*domain->refresh_some(progress)) {
  }
  EXPECT_TRUE(progress.missing);
  EXPECT_EQ(reason(*domain, iova(3)), Reason::none);
  EXPECT_NE(reason(*domain, 0x200000), Reason::none);
  host.tables->fail_after(TableAllocator::never);
  ASSERT_TRUE(domain->refresh(Range::all()));
  EXPECT_EQ(reason(*domain, 0x200000), Reason::none);
}

TEST_F(Shadow, FormatsThatCannotHoldTheCompositionAreRefused) {
  UserPageTable const small{.format = vtd, .root = root},
      wide{.format = {.format = FormatName::s390_zpci, .levels = 5}, .root = root};
  FormatConfiguration const coarse{.format = FormatName::arm_stage2, .granule_lg2 = 16, .input_bits = 42};
  EXPECT_EQ(ShadowDomain::create(parent, small, {}, coarse).error().code, EINVAL);
  EXPECT_EQ(ShadowDomain::create(parent, wide, {}, vtd).error().code, EINVAL);
  EXPECT_TRUE(ShadowDomain::create(parent, wide, {.aperture = {0, low_bits(39)}}, vtd));
  EXPECT_EQ(ShadowDomain::create(parent, {.format = {.levels = 9}}).error().code, EINVAL);
  EXPECT_EQ(ShadowDomain::create(parent, small, {}, {.levels = 9}).error().code, EINVAL);
}

TEST_F(Shadow, RefreshInsideAGuardIsRefused) {
  auto const domain = shadow();
  nesting::Attached a(host, domain);
  Port::Guard const guard(*a.port);
  EXPECT_EQ(domain->refresh(Range::all()).error().code, EDEADLK);
}

}  // namespace
}  // namespace swiommu
