#include "vtd_unit.h"

namespace swiommu::vtd {
namespace {

class VtdLegacy : public VtdUnit {
 protected:
  static constexpr std::uint64_t entry = context_table + 16 * 0x28;
  VtdLegacy() {
    memory.set(root_table + 16, {context_table | 1, 0});
    memory.set(entry, {table | 1, 0x502});
  }
};

TEST_F(VtdUnit, RefusesAHostAddressWidthThatIsNone) {
  for (unsigned const width : {1u, 31u, 53u, 64u}) {
    registers.host_address_width = width;
    auto const unit = Unit::create(registers, memory);
    ASSERT_FALSE(unit);
    EXPECT_EQ(unit.error().code, EINVAL);
  }
  for (unsigned const width : {0u, 32u, 52u}) {
    registers.host_address_width = width;
    EXPECT_TRUE(Unit::create(registers, memory));
  }
}

TEST_F(VtdUnit, BypassesWhenTranslationIsNotEnabled) {
  registers.global_status = 0;
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_FALSE(found->user);
  registers.global_status = bit(31);
  EXPECT_EQ(fault(), "root entry at 0x10010 cannot be reached");
}

TEST_F(VtdUnit, FaultsInReservedAndAbortModes) {
  registers.root_table_address = root_table | 2 << 10;
  EXPECT_EQ(fault(), "RTADDR = 0x10800 selects a reserved translation table mode (TTM = 2)");
  registers.root_table_address = root_table | 3 << 10;
  EXPECT_EQ(fault(), "RTADDR = 0x10c00 blocks all DMA: abort-DMA mode (TTM = 3)");
}

TEST_F(VtdLegacy, FindsASecondStageTable) {
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::translate);
  ASSERT_TRUE(found->user);
  EXPECT_FALSE(found->parent);
  EXPECT_EQ(found->rights, Access::both());
  EXPECT_EQ(found->user->root, table);
  EXPECT_EQ(found->user->format.format, FormatName::vtd_second_stage);
  EXPECT_EQ(found->user->format.levels, 4u);
  EXPECT_EQ(found->user->format.output_bits, 0u);
  EXPECT_FALSE(found->user->format.accessed_updates);
  EXPECT_FALSE(found->user->format.dirty_updates);
  EXPECT_TRUE(found->user->format.snoop_control);
  registers.extended_capability = 0;
  EXPECT_FALSE(find()->user->format.snoop_control) << "ECAP.SC = 0";
  registers.extended_capability = 1 << 7;
  EXPECT_TRUE(find()->user->format.snoop_control);
  registers.extended_capability.reset();
  ASSERT_EQ(found->steps.size(), 3u);
  EXPECT_EQ(found->steps[0].what, "RTADDR");
  EXPECT_EQ(found->steps[1].what, "root entry");
  EXPECT_EQ(found->steps[1].address, root_table + 16);
  EXPECT_EQ(found->steps[2].what, "context entry");
  EXPECT_EQ(found->steps[2].words, (std::vector<std::uint64_t>{table | 1, 0x502}));
  EXPECT_EQ(found->steps[2].meaning, "second-stage table at 0x20000, 4 levels, domain 5");
}

TEST_F(VtdLegacy, TakesTheNumberOfLevelsFromTheAddressWidth) {
  for (std::uint64_t width = 0; width < 8; width++) {
    memory.at(entry + 8) = width;
    auto const found = find();
    ASSERT_EQ(found.has_value(), width >= 1 && width <= 3) << width;
    if (found) {
      EXPECT_EQ(found->user->format.levels, width + 2);
    }
  }
  // SAGAW: 3 levels only
  registers.capability = 1 << 9;
  memory.at(entry + 8) = 1;
  EXPECT_EQ(fault(), "");
  memory.at(entry + 8) = 2;
  EXPECT_EQ(fault(), "context entry at 0x11280 has an address width that this unit does not have (AW = 2)");
}

TEST_F(VtdLegacy, TakesTheGuestAddressWidthForTheAperture) {
  EXPECT_EQ(find()->aperture, Range::all());
  for (unsigned const width : {39u, 48u, 64u}) {
    registers.capability = std::uint64_t{width - 1} << 16 | 7 << 9;
    EXPECT_EQ(find()->aperture, (Range{0, low_bits(width)}));
  }
}

TEST_F(VtdLegacy, PassesThrough) {
  memory.set(entry, {1 | 2 << 2, 2});
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_EQ(found->steps.size(), 3u);
  registers.extended_capability = 0;
  EXPECT_NE(fault().find("ECAP.PT = 0"), std::string::npos);
  registers.extended_capability = bit(6);
  EXPECT_EQ(fault(), "");
}

TEST_F(VtdLegacy, KnowsTranslationTypes) {
  memory.at(entry) = table | 1 | 1 << 2;
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(find()->user->root, table);
  registers.extended_capability = 0;
  EXPECT_NE(fault().find("ECAP.DT = 0"), std::string::npos);
  memory.at(entry) = table | 1 | 3 << 2;
  EXPECT_EQ(fault(), "context entry at 0x11280 has a reserved translation type (TT = 3)");
}

TEST_F(VtdLegacy, FaultsAtEveryReservedBit) {
  struct {
    std::uint64_t address, bits;
  } const words[] = {{root_table + 16, bit_span(11, 1) | bit_span(63, 52)},
                     {root_table + 24, bit_span(63, 0)},
                     {entry, bit_span(11, 4) | bit_span(63, 52)},
                     {entry + 8, bit(7) | bit_span(63, 24)}};
  for (auto const& word : words)
    for (unsigned n = 0; n < 64; n++) {
      if ((word.bits & bit(n)) == 0) continue;
      memory.at(word.address) ^= bit(n);
      std::string const text = fault();
      EXPECT_NE(text.find("has reserved bits set"), std::string::npos) << n;
      EXPECT_TRUE(text.ends_with(": " + std::to_string(n))) << text;
      memory.at(word.address) ^= bit(n);
    }
  EXPECT_EQ(fault(), "");
  // ignored: FPD, and bits 6:3 of the second word
  memory.at(entry) |= 2;
  memory.at(entry + 8) |= 0x78;
  EXPECT_EQ(fault(), "");
}

TEST_F(VtdLegacy, TakesTheHostAddressWidthForALimit) {
  registers.host_address_width = 40;
  EXPECT_EQ(find()->user->format.output_bits, 40u);
  memory.at(entry) |= bit(40);
  EXPECT_EQ(fault(), "context entry at 0x11280 has reserved bits set: 40");
}

TEST_F(VtdLegacy, FaultsAtWhatIsNotPresent) {
  memory.at(entry) ^= 1;
  auto const found = find();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().about, "context entry at 0x11280 is not present (P = 0)");
  EXPECT_EQ(found.error().entry_address, entry);
  EXPECT_EQ(found.error().entry, table);
  EXPECT_EQ(found.error().steps.size(), 3u);
  EXPECT_EQ(fault({}, 0x0200), "root entry at 0x10020 is not present (P = 0)");
  memory.remove_page(context_table);
  EXPECT_EQ(fault(), "context entry at 0x11280 cannot be reached");
}

TEST_F(VtdLegacy, BlocksPasidsAndDevicesThatCannotBe) {
  EXPECT_EQ(fault(3), "context entry at 0x11280 is one of legacy mode: requests with a PASID are blocked");
  EXPECT_NE(fault({}, 0x10128).find("source-ids have 16 bits"), std::string::npos);
}

}  // namespace
}  // namespace swiommu::vtd
