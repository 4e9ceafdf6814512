#include "swiommu/domain/fixed_domains.h"

#include <gtest/gtest.h>

#include "nesting/small_guest.h"

namespace swiommu {
namespace {

class Fixed : public nesting::SmallGuest {};

TEST_F(Fixed, IdentityOutputsWhatComesIn) {
  auto const domain = *IdentityDomain::create(host);
  for (std::uint64_t const input : {std::uint64_t{0}, std::uint64_t{0x123456789}, ~std::uint64_t{0}}) {
    Translation const t = domain->translate(input, Access::both(), Update::no);
    ASSERT_TRUE(t.ok());
    EXPECT_EQ(t.output, input);
    EXPECT_EQ(t.size_lg2, 64);
    EXPECT_EQ(t.attributes.access, Access::both());
  }
  // As memory it ends where the host's memory ends.
  EXPECT_EQ(domain->locate(host_base + size - 16, Access::reading()).length, 16u);
  EXPECT_FALSE(domain->locate(host_base + size, Access::reading()));
}

TEST_F(Fixed, ABaseIsTakenOffAndNothingIsBelowIt) {
  auto const domain = *IdentityDomain::create(parent, {}, 0x5000);
  Translation const t = domain->translate(0x5000 + data + 0x10, Access::both(), Update::no);
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t.output, to_host(data) + 0x10);
  EXPECT_EQ(t.size_lg2, 12);
  EXPECT_EQ(domain->translate(0x4fff, Access::reading(), Update::no).reason, Reason::out_of_range);
  Translation const fault = domain->translate(0x5000, Access::reading(), Update::no);
  EXPECT_EQ(fault.reason, Reason::not_mapped);
  EXPECT_EQ(fault.where, parent.get());
  // With a base that is aligned to nothing, blocks are what both sides have in common.
  auto const odd = *IdentityDomain::create(host, {}, 0x18);
  EXPECT_EQ(odd->translate(0x118, Access::both(), Update::no).output, 0x100u);
  EXPECT_EQ(odd->translate(0x118, Access::both(), Update::no).size_lg2, 3);
}

TEST_F(Fixed, IdentityIsDroppedWithItsParentsMappings) {
  nesting::Attached a(host, *IdentityDomain::create(parent));
  word(data) = 7;
  EXPECT_EQ(a.read(data), Reason::none);
  EXPECT_EQ(a.word, 7u);
  ASSERT_TRUE(parent->unmap({data, data + 0xfff}));
  EXPECT_EQ(a.read(data), Reason::not_mapped);
}

TEST_F(Fixed, LimitsHold) {
  auto const domain = *IdentityDomain::create(host, {.aperture = {0x1000, 0x2fff}, .rights = Access::reading()});
  EXPECT_EQ(domain->translate(0xfff, Access::reading(), Update::no).reason, Reason::out_of_range);
  EXPECT_EQ(domain->translate(0x3000, Access::reading(), Update::no).reason, Reason::out_of_range);
  EXPECT_EQ(domain->translate(0x1000, Access::writing(), Update::no).reason, Reason::permission);
  EXPECT_EQ(domain->translate(0x1000, Access::reading(), Update::no).size_lg2, 12);
  EXPECT_EQ(domain->translate(0x1000, Access::reading(), Update::no).attributes.access, Access::reading());
}

TEST_F(Fixed, BlockingRefusesAll) {
  auto const domain = *BlockingDomain::create(host);
  nesting::Attached a(host, domain);
  EXPECT_EQ(a.read(0), Reason::not_mapped);
  EXPECT_EQ(a.write(~std::uint64_t{7}, 0), Reason::not_mapped);
  EXPECT_EQ(domain->translate(0, {}, Update::no).where, domain.get());
  EXPECT_FALSE(domain->locate(host_base, Access::reading()));
}

}  // namespace
}  // namespace swiommu
