#include "swiommu/hardware/vtd.h"

#include <gtest/gtest.h>

#include "swiommu/base/bits.h"
#include "word_memory.h"

namespace swiommu::vtd {
namespace {

constexpr std::uint64_t root_table = 0x10000, context_table = 0x11000, upper_context_table = 0x12000;
constexpr std::uint64_t directory = 0x13000, pasid_table = 0x14000, table = 0x20000, parent_table = 0x30000;
constexpr std::uint64_t scalable = 1 << 10;
constexpr std::uint32_t device = 0x0128;  // bus 1, device function 0x28

class VtdUnit : public testing::Test {
 protected:
  using Found = std::expected<DeviceConfiguration, ConfigurationFault>;

  Found find(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const unit = Unit::create(registers, memory);
    EXPECT_TRUE(unit);
    return unit->find(id, pasid);
  }
  // The text of the fault; empty if there is none.
  std::string fault(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const found = find(pasid, id);
    return found ? "" : found.error().about;
  }

  WordMemory memory;
  Registers registers{.root_table_address = root_table};
};

class VtdLegacy : public VtdUnit {
 protected:
  static constexpr std::uint64_t entry = context_table + 16 * 0x28;
  VtdLegacy() {
    memory.set(root_table + 16, {context_table | 1, 0});
    memory.set(entry, {table | 1, 0x502});
  }
};

class VtdScalable : public VtdUnit {
 protected:
  static constexpr std::uint64_t context = context_table + 32 * 0x28, entry = pasid_table;
  VtdScalable() {
    registers.root_table_address = root_table | scalable;
    memory.set(root_table + 16, {context_table | 1, upper_context_table | 1});
    memory.set(context, {directory | 1 | 1 << 3, 0, 0, 0});  // PASIDE
    memory.set(directory, pasid_table | 1);
    set_entry(1);
  }
  // A PASID table entry with the translation type `type`, 4-level tables, domain 5.
  void set_entry(unsigned type, std::uint64_t at = entry) {
    memory.set(at, {1 | 2 << 2 | type << 6 | parent_table, 5, table, 0, 0, 0, 0, 0});
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

TEST_F(VtdScalable, FindsAFirstStageTable) {
  auto const found = find();
  ASSERT_TRUE(found);
  ASSERT_TRUE(found->user);
  EXPECT_FALSE(found->parent);
  EXPECT_EQ(found->user->root, table);
  EXPECT_EQ(found->user->format.format, FormatName::x86_64);
  EXPECT_EQ(found->user->format.levels, 4u);
  EXPECT_FALSE(found->user->format.zero_extended);
  EXPECT_TRUE(found->user->format.accessed_updates);
  EXPECT_TRUE(found->user->format.dirty_updates);
  ASSERT_EQ(found->steps.size(), 5u);
  EXPECT_EQ(found->steps[1].meaning, "bus 0x1, lower context table at 0x11000");
  EXPECT_EQ(found->steps[4].what, "PASID table entry");
  EXPECT_EQ(found->steps[4].meaning, "first-stage table at 0x20000, 4 levels, domain 5");
  memory.at(entry + 16) |= 1 << 2;
  EXPECT_EQ(find()->user->format.levels, 5u);
  registers.capability = 0;
  EXPECT_NE(fault().find("CAP.FS5LP = 0"), std::string::npos);
  registers.capability = bit(60);
  EXPECT_EQ(fault(), "");
}

TEST_F(VtdScalable, FindsASecondStageTable) {
  set_entry(2);
  auto found = find();
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->parent);
  EXPECT_EQ(found->user->root, parent_table);
  EXPECT_EQ(found->user->format.format, FormatName::vtd_second_stage);
  EXPECT_EQ(found->user->format.levels, 4u);
  EXPECT_FALSE(found->user->format.dirty_updates);
  memory.at(entry) |= bit(9);
  found = find();
  EXPECT_TRUE(found->user->format.accessed_updates);
  EXPECT_TRUE(found->user->format.dirty_updates);
  memory.at(entry + 16) = ~std::uint64_t{0};  // the first stage's word says nothing
  EXPECT_EQ(fault(), "");
  registers.extended_capability = bit(40) | bit(43) | bit(46);
  EXPECT_NE(fault().find("ECAP.SSADS = 0"), std::string::npos);
}

TEST_F(VtdScalable, FindsNestedTables) {
  set_entry(3);
  memory.at(entry) |= bit(9);
  registers.host_address_width = 46;
  memory.at(entry + 16) |= bit(50);  // a guest address, which the width of the host does not limit
  auto const found = find();
  ASSERT_TRUE(found);
  ASSERT_TRUE(found->user && found->parent);
  EXPECT_EQ(found->user->root, table | bit(50));
  EXPECT_EQ(found->user->format.format, FormatName::x86_64);
  EXPECT_EQ(found->user->format.output_bits, 0u);
  EXPECT_EQ(found->parent->root, parent_table);
  EXPECT_EQ(found->parent->format.format, FormatName::vtd_second_stage);
  EXPECT_EQ(found->parent->format.output_bits, 46u);
  EXPECT_TRUE(found->parent->format.dirty_updates);
  EXPECT_NE(found->steps.back().meaning.find(", over the second-stage table at 0x30000"), std::string::npos);
}

TEST_F(VtdScalable, PassesThrough) {
  set_entry(4);
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_FALSE(found->user || found->parent);
}

TEST_F(VtdScalable, KnowsTranslationTypes) {
  for (unsigned const type : {0u, 5u, 6u, 7u}) {
    set_entry(type);
    EXPECT_EQ(fault(), "PASID table entry at 0x14000 has a reserved translation type (PGTT = " + std::to_string(type) + ")");
  }
  unsigned const needed[] = {0, 47, 46, 26, 6};
  for (unsigned type = 1; type <= 4; type++) {
    set_entry(type);
    registers.extended_capability = bit(40) | bit(43);
    EXPECT_NE(fault().find("which this unit does not have"), std::string::npos) << type;
    *registers.extended_capability |= bit(needed[type]);
    EXPECT_EQ(fault(), "") << type;
  }
  registers.extended_capability = bit(40) | bit(47);
  EXPECT_NE(fault().find("ECAP.SMTS = 0"), std::string::npos);
}

TEST_F(VtdScalable, UsesTheUpperTableFromDeviceFunction128On) {
  memory.set(upper_context_table, {directory | 1, 0, 0, 0});
  auto const found = find({}, 0x0180);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->steps[2].address, upper_context_table);
  EXPECT_EQ(fault({}, 0x01ff), "scalable-mode context entry at 0x12fe0 is not present (P = 0)");
  EXPECT_EQ(fault({}, 0x017f), "scalable-mode context entry at 0x11fe0 is not present (P = 0)");
  memory.at(root_table + 16) = 0;
  EXPECT_EQ(fault({}, 0x0180), "");
  EXPECT_EQ(fault(), "scalable-mode root entry at 0x10010 is not present (LP = 0)");
  memory.at(root_table + 24) = 0;
  EXPECT_EQ(fault({}, 0x0180), "scalable-mode root entry at 0x10010 is not present (UP = 0)");
}

TEST_F(VtdScalable, SelectsTheEntryOfThePasid) {
  memory.set(directory + 8, (pasid_table + 0x1000) | 1);
  set_entry(2, pasid_table + 0x1000 + 64 * 0x3f);
  EXPECT_EQ(find(0x7f)->user->root, parent_table);
  EXPECT_EQ(find(0)->user->root, table);
  memory.at(context + 8) = 0x7f;  // RID_PASID
  EXPECT_EQ(find()->user->root, parent_table);
  EXPECT_EQ(find(0)->user->root, table);
  EXPECT_EQ(fault(1), "PASID table entry at 0x14040 is not present (P = 0)");
  EXPECT_EQ(fault(0x80), "PASID directory entry at 0x13010 is not present (P = 0)");
}

TEST_F(VtdScalable, BlocksPasidsWhereTheyAreNotEnabled) {
  memory.at(context) &= ~bit(3);
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(fault(0), "scalable-mode context entry at 0x11500 blocks requests with a PASID (PASIDE = 0)");
}

TEST_F(VtdScalable, KeepsWithinThePasidDirectory) {
  for (std::uint64_t size = 0; size < 8; size++) {
    memory.at(context) = directory | size << 9 | 1 << 3 | 1;
    std::uint32_t const last = (1u << (size + 13)) - 1;
    EXPECT_EQ(fault(last).find("too small"), std::string::npos) << size;
    EXPECT_NE(fault(last + 1).find("too small"), std::string::npos) << size;
    EXPECT_NE(fault(0xffffffff).find("too small"), std::string::npos) << size;
  }
  memory.at(context) = directory | 1;
  memory.at(context + 8) = 0x2000;
  EXPECT_NE(fault().find("128 entries, too small for RID_PASID 0x2000"), std::string::npos);
}

TEST_F(VtdScalable, FaultsAtEveryReservedBit) {
  set_entry(3);
  struct {
    std::uint64_t address, bits;
  } const words[] = {{root_table + 16, bit_span(11, 1) | bit_span(63, 52)},
                     {context, bit_span(8, 5) | bit_span(63, 52)},
                     {context + 8, bit_span(63, 21)},
                     {context + 16, bit_span(63, 0)},
                     {context + 24, bit_span(63, 0)},
                     {directory, bit_span(11, 2) | bit_span(63, 52)},
                     {entry, bit_span(11, 10) | bit_span(63, 52)},
                     {entry + 8, bit_span(22, 16)},
                     {entry + 16, bit_span(11, 8) | bit_span(63, 52)},
                     {entry + 24, bit_span(63, 0)},
                     {entry + 56, bit_span(63, 0)}};
  for (auto const& word : words)
    for (unsigned n = 0; n < 64; n++) {
      if ((word.bits & bit(n)) == 0) continue;
      memory.at(word.address) ^= bit(n);
      std::string const text = fault();
      EXPECT_NE(text.find("has reserved bits set"), std::string::npos) << std::hex << word.address << " " << n;
      EXPECT_TRUE(text.ends_with(": " + std::to_string(n))) << text;
      memory.at(word.address) ^= bit(n);
    }
  EXPECT_EQ(fault(), "");
}

TEST_F(VtdScalable, FaultsAtWhatTheUnitDoesNotHave) {
  registers.extended_capability = bit(26) | bit(40) | bit(43);
  set_entry(3);
  EXPECT_EQ(fault(), "");
  struct {
    std::uint64_t address;
    unsigned position, feature;
  } const cases[] = {{context, 2, 2}, {context, 4, 29}, {entry + 16, 0, 31}, {entry + 16, 7, 34}, {entry, 9, 45}};
  for (auto const& c : cases) {
    memory.at(c.address) ^= bit(c.position);
    EXPECT_NE(fault(), "") << c.feature;
    *registers.extended_capability ^= bit(c.feature);
    EXPECT_EQ(fault(), "") << c.feature;
    *registers.extended_capability ^= bit(c.feature);
    memory.at(c.address) ^= bit(c.position);
  }
  *registers.extended_capability ^= bit(40);
  EXPECT_EQ(fault(), "scalable-mode context entry at 0x11500 has reserved bits set: 3");
}

TEST_F(VtdScalable, FaultsAtReservedFirstStageModes) {
  for (unsigned const mode : {2u, 3u}) {
    memory.at(entry + 16) = table | mode << 2;
    EXPECT_NE(fault().find("reserved first-stage paging mode (FSPM = " + std::to_string(mode)), std::string::npos);
  }
}

TEST_F(VtdScalable, FaultsAtStructuresOutsideMemory) {
  memory.remove_page(pasid_table);
  EXPECT_EQ(fault(), "PASID table entry at 0x14000 cannot be reached");
  memory.remove_page(directory);
  EXPECT_EQ(fault(), "PASID directory entry at 0x13000 cannot be reached");
  memory.remove_page(context_table);
  EXPECT_EQ(fault(), "scalable-mode context entry at 0x11500 cannot be reached");
}

}  // namespace
}  // namespace swiommu::vtd
