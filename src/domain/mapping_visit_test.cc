#include "swiommu/domain/mapping_visit.h"

#include <gtest/gtest.h>

#include "nesting/small_guest.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/shadow_domain.h"

namespace swiommu {
namespace {

class MappingVisit : public nesting::SmallGuest {
 protected:
  struct Seen {
    std::uint64_t start, last, output;
    Access rights;
    bool operator==(Seen const&) const = default;
  };
  static std::vector<Seen> all(Domain const& domain, Range inputs = Range::all()) {
    std::vector<Seen> seen;
    EXPECT_TRUE(visit_coalesced(domain, inputs, [&](MappedRange const& m) {
      seen.push_back({m.range.start, m.range.last, m.output, m.attributes.access});
      return true;
    }));
    return seen;
  }
  static constexpr Access both = Access::both();
};

TEST_F(MappingVisit, NeighboursThatGoOnAreJoinedAndOthersAreNot) {
  for (unsigned page = 0; page < 4; page++) leaf(page) = (data + page * 0x1000) | rw;
  leaf(4) = (data + 0x4000) | r;  // other rights
  leaf(5) = (data + 0x6000) | r;  // other memory
  leaf(7) = (data + 0x8000) | r;  // a hole before it
  std::vector<Seen> const expected{{0, 0x3fff, to_host(data), both},
                                   {0x4000, 0x4fff, to_host(data + 0x4000), Access::reading()},
                                   {0x5000, 0x5fff, to_host(data + 0x6000), Access::reading()},
                                   {0x7000, 0x7fff, to_host(data + 0x8000), Access::reading()}};
  EXPECT_EQ(all(*nested()), expected);
  auto const shadow = *ShadowDomain::create(parent, {.format = vtd, .root = root});
  EXPECT_TRUE(all(*shadow).empty());
  ASSERT_TRUE(shadow->refresh(Range::all()));
  EXPECT_EQ(all(*shadow), expected);
  EXPECT_EQ(all(*nested(), {0x1000, 0x4fff}), (std::vector<Seen>{{0x1000, 0x3fff, to_host(data + 0x1000), both}, expected[1]}));
}

TEST_F(MappingVisit, ALeafShowsInAsManyPiecesAsTheParentMakesOfIt) {
  word(level1 + 8) = 0x200000 | 1 << 7 | rw;
  ASSERT_TRUE(parent->map({0x210000, 0x211fff}, HostAddress(0x99000), {.access = both}));
  ASSERT_TRUE(parent->map({0x220000, 0x220fff}, HostAddress(0x55000), {.access = Access::writing()}));
  EXPECT_EQ(all(*nested()),
            (std::vector<Seen>{{0x210000, 0x211fff, 0x99000, both}, {0x220000, 0x220fff, 0x55000, Access::writing()}}));
}

TEST_F(MappingVisit, LimitsOfEachDomainShow) {
  leaf(3) = data | rw;
  Limits const limits{.aperture = {0x3000, 0x37ff}, .rights = Access::reading()};
  EXPECT_EQ(all(*nested(vtd, limits)), (std::vector<Seen>{{0x3000, 0x37ff, to_host(data), Access::reading()}}));
  auto const shadow = *ShadowDomain::create(parent, {.format = vtd, .root = root}, limits);
  ASSERT_TRUE(shadow->refresh(Range::all()));
  EXPECT_EQ(all(*shadow), (std::vector<Seen>{{0x3000, 0x37ff, to_host(data), Access::reading()}}));
  auto const paging = *PagingDomain::create(host, vtd, limits);
  ASSERT_TRUE(paging->map({0x2000, 0x5fff}, HostAddress(0x8000), {.access = both}));
  EXPECT_EQ(all(*paging), (std::vector<Seen>{{0x3000, 0x37ff, 0x9000, Access::reading()}}));
  EXPECT_EQ(all(**IdentityDomain::create(host, limits)), (std::vector<Seen>{{0x3000, 0x37ff, 0x3000, Access::reading()}}));
}

TEST_F(MappingVisit, IdentityShowsItsParentMovedByItsBase) {
  auto const paging = *PagingDomain::create(host, vtd);
  ASSERT_TRUE(paging->map({0x2000, 0x3fff}, HostAddress(0x8000), {.access = both}));
  EXPECT_EQ(all(**IdentityDomain::create(paging, {}, 0x10000)), (std::vector<Seen>{{0x12000, 0x13fff, 0x8000, both}}));
  EXPECT_EQ(all(**IdentityDomain::create(host, {}, 0x10000)), (std::vector<Seen>{{0x10000, ~std::uint64_t{0}, 0, both}}));
  EXPECT_TRUE(all(**IdentityDomain::create(host, {}, 0x10000), {0, 0xffff}).empty());
  EXPECT_TRUE(all(**BlockingDomain::create(host)).empty());
}

TEST_F(MappingVisit, StopsWhenToldOrWhenTheBudgetIsUsedUp) {
  for (unsigned page = 0; page < 8; page += 2) leaf(page) = (data + page * 0x1000) | rw;
  unsigned calls = 0;
  EXPECT_FALSE(visit_coalesced(*nested(), Range::all(), [&](MappedRange const&) { return ++calls < 2; }));
  EXPECT_EQ(calls, 2u);
  EXPECT_FALSE(visit_mappings(*nested(), Range::all(), [](MappedRange const&) { return true; }, 100));
  // A leaf of 1 GiB, of which the parent has every second page: pieces and holes cost as much as words.
  auto const holes = *PagingDomain::create(host, vtd);
  ASSERT_TRUE(holes->map({guest, guest + size - 1}, HostAddress(host_base), {.access = both}));
  for (std::uint64_t page = 0x40000000; page < 0x40200000; page += 0x2000)
    ASSERT_TRUE(holes->map({page, page + 0xfff}, HostAddress(host_base), {.access = both}));
  word(root) = 0x40000000 | 1 << 7 | rw;
  auto const domain = *NestedDomain::create(holes, UserPageTable{.format = vtd, .root = root});
  EXPECT_FALSE(visit_mappings(*domain, {0, 0x3fffffff}, [](MappedRange const&) { return true; }, 500));
  EXPECT_TRUE(visit_mappings(*domain, {0, 0x3fffffff}, [](MappedRange const&) { return true; }, 2000));
}

TEST_F(MappingVisit, TheVeryTopIsNotJoinedToTheBottom) {
  MappedRange const top{{~std::uint64_t{0xfff}, ~std::uint64_t{0}}, 0x1000, {.access = both}, 12};
  MappedRange const bottom{{0, 0xfff}, 0x2000, {.access = both}, 12};
  EXPECT_FALSE(top.continued_by(bottom));
}

}  // namespace
}  // namespace swiommu
