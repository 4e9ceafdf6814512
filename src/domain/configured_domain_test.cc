#include "swiommu/domain/configured_domain.h"

#include <gtest/gtest.h>

#include "nesting/small_guest.h"
#include "swiommu/domain/fixed_domains.h"

namespace swiommu {
namespace {

class Configured : public nesting::SmallGuest {
 protected:
  Configured() {
    leaf(3) = data | rw;
    // A second table in the same memory: 0x200000 + n pages lead to guest memory, all of it.
    word(lower) = (lower + 0x1000) | rw;
    word(lower + 0x1000 + 8) = (lower + 0x2000) | rw;
    for (std::uint64_t at = 0; at < size; at += 0x1000) word(lower + 0x2000 + (at >> 9)) = (guest + at) | rw;
  }
  static constexpr std::uint64_t lower = guest + 0x80000;
  static constexpr std::uint64_t moved = 0x200000 - guest;  // of that table

  [[nodiscard]] static Translation read(Domain const& domain, std::uint64_t iova) {
    return domain.translate(iova, Access::reading(), Update::no);
  }
  UserPageTable const user{.format = vtd, .root = root};
  UserPageTable const under{.format = vtd, .root = lower};
};

TEST_F(Configured, BypassTakesOffItsBaseWithinItsAperture) {
  DeviceConfiguration c{.kind = DeviceConfiguration::Kind::bypass, .aperture = {0x800000, 0x8000000}, .bypass_base = 0x800000};
  c.rights = Access::reading();
  auto const domain = *open_configuration(parent, c);
  EXPECT_EQ(domain->kind(), DomainKind::identity);
  EXPECT_EQ(read(*domain, 0x800000 + data).output, to_host(data));
  EXPECT_EQ(read(*domain, 0x7fffff).reason, Reason::out_of_range);
  EXPECT_EQ(domain->translate(0x800000 + data, Access::writing(), Update::no).reason, Reason::permission);
}

TEST_F(Configured, OneTable) {
  auto const domain = *open_configuration(parent, {.user = user, .aperture = {0, 0x3fff}, .rights = Access::reading()});
  EXPECT_EQ(domain->kind(), DomainKind::nested);
  EXPECT_EQ(domain->parent(), parent);
  EXPECT_EQ(read(*domain, iova(3) + 1).output, to_host(data) + 1);
  EXPECT_EQ(read(*domain, iova(4)).reason, Reason::out_of_range);
  EXPECT_EQ(domain->translate(iova(3), Access::writing(), Update::no).reason, Reason::permission);
}

TEST_F(Configured, TwoTablesAreComposed) {
  // The upper table's own words name addresses that the lower one translates.
  word(root) = (level1 + moved) | rw;
  word(level1) = (level0 + moved) | rw;
  leaf(3) = (data + moved) | rw;
  leaf(4) = data | rw;  // where the lower table has nothing
  UserPageTable moved_user = user;
  moved_user.root += moved;
  auto const domain = *open_configuration(parent, {.user = moved_user, .parent = under, .rights = Access::both()});
  ASSERT_TRUE(read(*domain, iova(3)).ok());
  EXPECT_EQ(read(*domain, iova(3)).output, to_host(data));
  Translation const t = read(*domain, iova(4));
  EXPECT_EQ(t.reason, Reason::output_unreachable);
  EXPECT_EQ(t.where, domain->parent().get());
  EXPECT_EQ(fault_of(*domain, t, iova(4), Access::reading()).depth, 1);
  EXPECT_EQ(t.walk.entry_address & ~std::uint64_t{0xfff}, lower + 0x1000);
  // Three levels of the tree: the lowest refuses.
  ASSERT_TRUE(parent->unmap({data, data + 0xfff}));
  EXPECT_EQ(fault_of(*domain, read(*domain, iova(3)), iova(3), Access::reading()).depth, 2);
  // A lower table that has lost the upper one's words.
  word(lower + 0x2000 + ((level0 - guest) >> 9)) = 0;
  EXPECT_EQ(read(*domain, iova(3)).reason, Reason::table_unreachable);
}

TEST_F(Configured, TheParentAlone) {
  auto const domain = *open_configuration(parent, {.parent = under, .rights = Access::reading()});
  EXPECT_EQ(read(*domain, data + moved).output, to_host(data));
  EXPECT_EQ(domain->translate(data + moved, Access::writing(), Update::no).reason, Reason::permission);
}

TEST_F(Configured, AnUpperTableWithAndWithoutALowerOne) {
  FormatConfiguration const arm{.format = FormatName::arm_stage1, .granule_lg2 = 12, .input_bits = 39};
  FormatConfiguration arm_upper = arm;
  arm_upper.upper_half = true;
  for (std::uint64_t const item : {std::uint64_t{0}, std::uint64_t{511}}) {
    word(root + item * 8) = level1 | 3;
    word(level1 + item * 8) = level0 | 3;
    leaf(item) = (data + item * 0x10) | 0x443;
  }
  leaf(511) = (data + 0x1000) | 0x443;
  UserPageTable const below{.format = arm, .root = root}, above{.format = arm_upper, .root = root};
  std::uint64_t const top = ~std::uint64_t{0xfff};
  auto const both = *open_configuration(parent, {.user = below, .user_upper = above});
  EXPECT_EQ(read(*both, 0).output, to_host(data));
  EXPECT_EQ(read(*both, top).output, to_host(data + 0x1000));
  EXPECT_EQ(read(*both, bit(39)).reason, Reason::out_of_range);

  auto const blocked = *open_configuration(parent, {.user_upper = above, .lower_blocked = true});
  EXPECT_EQ(read(*blocked, top).output, to_host(data + 0x1000));
  EXPECT_EQ(read(*blocked, 0).reason, Reason::not_mapped);

  // Blocked, and nothing above: the table of a parent does not step in.
  auto const nothing = *open_configuration(parent, {.parent = under, .lower_blocked = true});
  EXPECT_EQ(read(*nothing, data + moved).reason, Reason::not_mapped);
  EXPECT_EQ(read(*nothing, top).reason, Reason::not_mapped);
}

TEST_F(Configured, FormatsThatDoNotExistAreErrors) {
  UserPageTable const wrong{.format = {.levels = 9}};
  EXPECT_EQ(open_configuration(parent, {.user = wrong}).error().code, EINVAL);
  EXPECT_EQ(open_configuration(parent, {.user = user, .parent = wrong}).error().code, EINVAL);
  EXPECT_EQ(open_configuration(parent, {.parent = wrong}).error().code, EINVAL);
  EXPECT_EQ(open_parent(wrong, *parent), nullptr);
}

TEST_F(Configured, AParentOpenedForReadingShowsItsMemoryPageByPage) {
  auto const view = open_parent(under, *parent);
  ASSERT_NE(view, nullptr);
  Chunk const chunk = view->locate(data + moved + 0x10, Access::reading());
  ASSERT_TRUE(chunk);
  EXPECT_EQ(memory->address_of(chunk.data), to_host(data) + 0x10);
  EXPECT_EQ(chunk.length, 0xff0u);
  EXPECT_FALSE(view->locate(data, Access::reading()));
  word(lower + 0x2000 + ((data - guest) >> 9)) = data | r;
  EXPECT_FALSE(view->locate(data + moved, Access::writing()));
  EXPECT_TRUE(view->locate(data + moved, Access::reading()));
}

}  // namespace
}  // namespace swiommu
