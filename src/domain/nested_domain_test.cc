#include "swiommu/domain/nested_domain.h"

#include <gtest/gtest.h>

#include <thread>

#include "nesting/small_guest.h"

namespace swiommu {
namespace {

class Nested : public nesting::SmallGuest {};

TEST_F(Nested, CreatingOneReadsNothingAndTakesNoTables) {
  std::uint64_t const reads = memory->locates, tables = host.tables->tables_in_use();
  auto const domain = nested();
  EXPECT_EQ(memory->locates, reads);
  EXPECT_EQ(host.tables->tables_in_use(), tables);
  EXPECT_EQ(domain->kind(), DomainKind::nested);
  EXPECT_EQ(domain->parent(), parent);
  // Nor is it wrong to name a root that is not there: it shows when it is used.
  EXPECT_TRUE(NestedDomain::create(parent, UserPageTable{.format = vtd, .root = nowhere}));
  EXPECT_EQ(NestedDomain::create(parent, UserPageTable{.format = {.levels = 9}}).error().code, EINVAL);
}

TEST_F(Nested, TranslatesThroughBothTablesWithTheRightsOfBoth) {
  leaf(3) = data | rw;
  leaf(4) = (data + 0x1000) | r;
  protect(data, Access::reading());
  auto const domain = nested();
  Translation const t = domain->translate(iova(3) + 0x123, Access::reading(), Update::no);
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t.output, to_host(data) + 0x123);
  EXPECT_EQ(t.size_lg2, 12);
  EXPECT_EQ(t.attributes.access, Access::reading());
  EXPECT_EQ(domain->translate(iova(4), Access::reading(), Update::no).attributes.access, Access::reading());
}

TEST_F(Nested, ALargeLeafOverSmallPagesOfTheParentTranslatesPageByPage) {
  word(level1 + 8) = 0x200000 | 1 << 7 | rw;  // 2 MiB of guest addresses, of which the parent has one page
  ASSERT_TRUE(parent->map({0x234000, 0x234fff}, HostAddress(host_base + 0x5000), {.access = Access::both()}));
  auto const domain = nested();
  Translation const t = domain->translate(0x234010, Access::both(), Update::no);
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t.output, host_base + 0x5010);
  EXPECT_EQ(t.size_lg2, 12);
  EXPECT_EQ(domain->translate(0x235000, Access::both(), Update::no).reason, Reason::output_unreachable);
}

struct FaultCase {
  std::string name;
  std::uint64_t leaf;
  Access access;
  Reason reason;
  bool in_parent;
};
void PrintTo(FaultCase const& c, std::ostream* out) { *out << c.name; }

class NestedFault : public nesting::SmallGuest, public testing::WithParamInterface<FaultCase> {};

TEST_P(NestedFault, NamesDomainLevelEntryAndReason) {
  FaultCase const& c = GetParam();
  leaf(7) = c.leaf;
  protect(data, Access::reading());
  auto const domain = nested();
  Translation const t = domain->translate(iova(7) + 8, c.access, Update::yes);
  EXPECT_EQ(t.reason, c.reason);
  EXPECT_EQ(t.where, c.in_parent ? static_cast<Domain const*>(parent.get()) : domain.get());
  EXPECT_EQ(t.walk.level, c.in_parent && c.reason == Reason::output_unreachable ? t.walk.level : 0);
  if (!c.in_parent) {
    EXPECT_EQ(t.walk.entry_address, level0 + 7 * 8);
    EXPECT_EQ(t.walk.entry, c.leaf);
  }
  FaultRecord const record = fault_of(*domain, t, iova(7) + 8, c.access);
  EXPECT_EQ(record.domain, c.in_parent ? DomainKind::paging : DomainKind::nested);
  EXPECT_EQ(record.depth, c.in_parent ? 1 : 0);
  EXPECT_EQ(record.iova, iova(7) + 8);
}

INSTANTIATE_TEST_SUITE_P(
    Words, NestedFault,
    testing::Values(FaultCase{"Empty", 0, Access::reading(), Reason::not_mapped, false},
                    FaultCase{"ReadOnly", 0x120001, Access::writing(), Reason::permission, false},
                    FaultCase{"WriteOnly", 0x120002, Access::reading(), Reason::permission, false},
                    FaultCase{"ReservedBit", 0x120003 | bit(62), Access::reading(), Reason::malformed, false},
                    FaultCase{"ReadOnlyInTheParent", 0x110003, Access::writing(), Reason::permission, true},
                    FaultCase{"OutputOutsideTheParent", 0x40000003, Access::reading(), Reason::output_unreachable, true},
                    FaultCase{"OutputBeyondTheParentsInputs", 0x8000000000003, Access::reading(), Reason::output_unreachable,
                              true}),
    [](auto const& c) { return c.param.name; });

TEST_F(Nested, ATableOutsideTheParentIsAFaultOfTheUserPageTableAtTheLevelThatIsMissing) {
  word(level1 + 8) = nowhere | rw;
  auto const domain = nested();
  Translation t = domain->translate(0x200000 + iova(5), Access::reading(), Update::no);
  EXPECT_EQ(t.reason, Reason::table_unreachable);
  EXPECT_EQ(t.where, domain.get());
  EXPECT_EQ(t.walk.level, 0);
  EXPECT_EQ(t.walk.entry_address, nowhere + 5 * 8);
  auto const lost = *NestedDomain::create(parent, UserPageTable{.format = vtd, .root = nowhere});
  t = lost->translate(0, Access::reading(), Update::no);
  EXPECT_EQ(t.reason, Reason::table_unreachable);
  EXPECT_EQ(t.walk.level, 2);
}

TEST_F(Nested, LimitsComeBeforeTheTable) {
  leaf(3) = data | rw;
  leaf(4) = (data + 0x1000) | rw;
  auto const domain = nested(vtd, {.aperture = {iova(3), iova(3) + 0x7ff}, .rights = Access::reading()});
  EXPECT_EQ(domain->translate(iova(3), Access::writing(), Update::no).reason, Reason::permission);
  EXPECT_EQ(domain->translate(iova(4), Access::reading(), Update::no).reason, Reason::out_of_range);
  EXPECT_EQ(domain->translate(iova(3) + 0x800, Access::reading(), Update::no).reason, Reason::out_of_range);
  Translation const t = domain->translate(iova(3), Access::reading(), Update::no);
  EXPECT_EQ(t.attributes.access, Access::reading());
  EXPECT_EQ(t.size_lg2, 11);  // no further than the aperture
  EXPECT_EQ(nested()->translate(bit(39), Access::reading(), Update::no).reason, Reason::out_of_range);
}

TEST_F(Nested, FaultsAreNotRememberedButTranslationsAre) {
  nesting::Attached a(host, nested());
  word(data) = 0x1111, word(data + 0x1000) = 0x2222;
  EXPECT_EQ(a.read(iova(3)), Reason::not_mapped);
  leaf(3) = data | r;
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  EXPECT_EQ(a.word, 0x1111u);
  EXPECT_EQ(a.write(iova(3), 1), Reason::permission);
  leaf(3) = data | rw;
  EXPECT_EQ(a.write(iova(3) + 8, 1), Reason::none);
  leaf(3) = (data + 0x1000) | rw;
  EXPECT_TRUE(a.device->domain()->invalidate(Range::block(iova(3), 12)));
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  EXPECT_EQ(a.word, 0x2222u);
  leaf(3) = 0;
  EXPECT_TRUE(a.device->domain()->invalidate(Range::block(iova(3), 12)));
  EXPECT_EQ(a.read(iova(3)), Reason::not_mapped);
}

TEST_F(Nested, ChangesOfTheParentInvalidateByThemselves) {
  leaf(3) = data | rw;
  word(data) = 0x1111, word(data + 0x1000) = 0x2222;
  nesting::Attached a(host, nested());
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  ASSERT_TRUE(parent->replace({data, data + 0xfff}, HostAddress(to_host(data + 0x1000)), {.access = Access::both()}));
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  EXPECT_EQ(a.word, 0x2222u);
  ASSERT_TRUE(parent->unmap({data, data + 0xfff}));
  EXPECT_EQ(a.read(iova(3)), Reason::output_unreachable);
  // The table's own memory as well.
  ASSERT_TRUE(parent->map({data, data + 0xfff}, HostAddress(to_host(data)), {.access = Access::both()}));
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  ASSERT_TRUE(parent->unmap({level0, level0 + 0xfff}, Cut::split));
  EXPECT_EQ(a.read(iova(3)), Reason::table_unreachable);
}

TEST_F(Nested, CachedEntriesDieWithTheDomainWhateverComesNext) {
  leaf(3) = data | rw;
  word(data) = 0x1111, word(data + 0x1000) = 0x2222;
  nesting::Attached a(host, nested());
  for (unsigned n = 0; n < 100; n++) {
    EXPECT_EQ(a.read(iova(3)), Reason::none);
    EXPECT_EQ(a.word, n % 2 == 0 ? 0x1111u : 0x2222u);
    leaf(3) = (n % 2 == 0 ? data + 0x1000 : data) | rw;
    ASSERT_TRUE(a.device->replace(nested()));  // often at the address of the one before
  }
}

TEST_F(Nested, InvalidateInsideAGuardIsRefused) {
  auto const domain = nested();
  nesting::Attached a(host, domain);
  Port::Guard const guard(*a.port);
  EXPECT_EQ(domain->invalidate(Range::all()).error().code, EDEADLK);
}

TEST_F(Nested, AnUpperTableWithoutALowerOneLeavesTheLowerHalfUnmapped) {
  UserPageTable const upper{.format = {.format = FormatName::arm_stage1, .granule_lg2 = 12, .input_bits = 39, .upper_half = true},
                            .root = root};
  word(root + 511 * 8) = level1 | 3;
  word(level1 + 511 * 8) = level0 | 3;
  leaf(511) = data | 0x443;  // page, AF, AP[1]
  auto const domain = *NestedDomain::create(parent, std::nullopt, upper);
  EXPECT_EQ(domain->translate(~std::uint64_t{0}, Access::reading(), Update::no).output, to_host(data) + 0xfff);
  EXPECT_EQ(domain->translate(0, Access::reading(), Update::no).reason, Reason::not_mapped);
  EXPECT_EQ(domain->translate(low_bits(39) - 0xfff, Access::reading(), Update::no).reason, Reason::not_mapped);
}

TEST_F(Nested, FlagsOfTheUserPageTableAreSetBeforeTheDataIsTouched) {
  leaf(3) = data | rw;
  nesting::Attached a(host, nested(vtd_flags));
  std::uint64_t seen = 0;
  memory->watch = [&](std::uint64_t address, Access) {
    if (address >= to_host(data) && address < to_host(data) + 0x1000) seen |= leaf(3) & (accessed | dirty);
  };
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  EXPECT_EQ(leaf(3) & (accessed | dirty), accessed);
  EXPECT_EQ(seen, accessed);
  EXPECT_EQ(word(root) & accessed, accessed);
  EXPECT_EQ(a.write(iova(3), 5), Reason::none);
  EXPECT_EQ(seen, accessed | dirty);
  EXPECT_EQ(leaf(3) & (accessed | dirty), accessed | dirty);
  // Cleared, and set anew once the guest has invalidated.
  leaf(3) &= ~(accessed | dirty);
  EXPECT_TRUE(a.device->domain()->invalidate(Range::all()));
  EXPECT_EQ(a.write(iova(3), 6), Reason::none);
  EXPECT_EQ(leaf(3) & (accessed | dirty), accessed | dirty);
}

TEST_F(Nested, RefusedAccessesSetNoFlags) {
  leaf(3) = data | r;
  nesting::Attached a(host, nested(vtd_flags), {.interrupt_range = Range{iova(4), iova(4) + 0xfff}});
  leaf(4) = data | rw;
  EXPECT_EQ(a.write(iova(3), 5), Reason::permission);
  EXPECT_EQ(a.write(iova(4), 5), Reason::out_of_range);  // a message, not memory
  EXPECT_EQ(leaf(3) & (accessed | dirty), 0u);
  EXPECT_EQ(leaf(4) & (accessed | dirty), 0u);
}

TEST_F(Nested, FlagsThatCannotBeWrittenAreAFault) {
  leaf(3) = data | rw | accessed;
  word(root) |= accessed, word(level1) |= accessed;
  protect(level0, Access::reading());
  nesting::Attached a(host, nested(vtd_flags));
  EXPECT_EQ(a.read(iova(3)), Reason::none);
  EXPECT_EQ(a.write(iova(3), 5), Reason::table_unreachable);
  EXPECT_EQ(word(data), 0u);
}

TEST_F(Nested, SettingFlagsLosesNoConcurrentChangeOfTheGuest) {
  constexpr std::uint64_t counter = bit(52), edits = 500;  // ignored bits
  leaf(3) = data | rw;
  auto const domain = nested(vtd_flags);
  std::thread owner([&] {
    for (std::uint64_t n = 0; n < edits; n++) {
      __atomic_fetch_add(&leaf(3), counter, __ATOMIC_RELAXED);
      __atomic_fetch_and(&leaf(3), ~(accessed | dirty), __ATOMIC_RELAXED);
    }
  });
  for (unsigned n = 0; n < 2000; n++) (void)domain->translate(iova(3), Access::writing(), Update::yes);
  owner.join();
  EXPECT_TRUE(domain->translate(iova(3), Access::writing(), Update::yes).ok());
  EXPECT_EQ(leaf(3), (data | rw | accessed | dirty) + edits * counter);
}

TEST_F(Nested, DmaMarksThePagesOfTheParentAsWell) {
  parent = *PagingDomain::create(host, vtd_flags);
  ASSERT_TRUE(parent->map({guest, guest + 0xfffff}, HostAddress(host_base), {.access = Access::both()}));
  leaf(3) = data | rw;
  nesting::Attached a(host, nested());
  EXPECT_EQ(a.write(iova(3), 5), Reason::none);
  std::vector<Range> reported;
  ASSERT_TRUE(parent->read_dirty({guest, guest + 0xfffff}, Clear::yes, [&](Range range) { reported.push_back(range); }));
  EXPECT_EQ(reported, (std::vector{Range{data, data + 0xfff}}));
  // The port has to mark it anew.
  EXPECT_EQ(a.write(iova(3), 6), Reason::none);
  reported.clear();
  ASSERT_TRUE(parent->read_dirty({guest, guest + 0xfffff}, Clear::no, [&](Range range) { reported.push_back(range); }));
  EXPECT_EQ(reported, (std::vector{Range{data, data + 0xfff}}));
}

}  // namespace
}  // namespace swiommu
