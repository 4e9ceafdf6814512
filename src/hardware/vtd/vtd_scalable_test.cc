#include <random>

#include "vtd_unit.h"

namespace swiommu::vtd {
namespace {

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

TEST_F(VtdScalable, LimitsTheInputsOfTheSecondStageOnly) {
  registers.capability = std::uint64_t{38} << 16 | 7 << 9;
  for (unsigned const type : {1u, 2u, 3u}) {
    set_entry(type);
    EXPECT_EQ(find()->aperture, type == 2 ? (Range{0, low_bits(39)}) : Range::all()) << type;
  }
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

TEST_F(VtdScalable, UsesPasid0ForRequestsWithoutOneWhereRidPasidIsNotImplemented) {
  memory.at(context + 8) = 0x2045;  // RID_PASID, beyond the directory
  EXPECT_NE(fault().find("too small for RID_PASID 0x2045"), std::string::npos);
  registers.extended_capability = bit(40) | bit(43) | bit(47);  // ECAP.RPS = 0
  EXPECT_EQ(find()->user->root, table);
  *registers.extended_capability |= bit(49);
  EXPECT_NE(fault().find("too small for RID_PASID 0x2045"), std::string::npos);
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

TEST_F(VtdScalable, AnswersWhateverTheStructuresHold) {
  std::mt19937_64 random(1);
  unsigned translated = 0, faults = 0;
  std::uint64_t const words[] = {root_table + 16, root_table + 24, context, context + 8, directory, entry, entry + 8, entry + 16};
  for (unsigned round = 0; round < 20000; round++) {
    set_entry(1 + static_cast<unsigned>(random() % 4));
    memory.set(root_table + 16, {context_table | 1, upper_context_table | 1});
    memory.set(context, {directory | 1 | 1 << 3, 0, 0, 0});
    memory.set(directory, pasid_table | 1);
    memory.at(words[random() % std::size(words)]) ^= random() % 2 ? random() : bit(static_cast<unsigned>(random() % 64));
    registers.root_table_address = root_table | (random() % 8 ? scalable : random() % 4 << 10);
    auto const pasid = random() % 2 ? std::optional<std::uint32_t>(random() >> (32 + random() % 32)) : std::nullopt;
    auto const found = find(pasid, random() % 4 ? device : static_cast<std::uint32_t>(random() % 0x20000));
    if (!found) {
      faults++;
      EXPECT_FALSE(found.error().about.empty());
      EXPECT_FALSE(found.error().steps.empty());
    } else if (found->kind == DeviceConfiguration::Kind::translate) {
      translated++;
      ASSERT_TRUE(found->user);
      EXPECT_TRUE(found->user->format.levels >= 3 && found->user->format.levels <= 5);
      EXPECT_EQ(found->user->root & ~bit_span(51, 12), 0u);
      EXPECT_EQ((found->parent ? found->parent->root : 0) & ~bit_span(51, 12), 0u);
    } else {
      EXPECT_FALSE(found->user || found->parent);
    }
  }
  EXPECT_GT(translated, 100u);
  EXPECT_GT(faults, 100u);
}

}  // namespace
}  // namespace swiommu::vtd
