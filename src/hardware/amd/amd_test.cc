#include "swiommu/hardware/amd.h"

#include <gtest/gtest.h>

#include <random>

#include "swiommu/base/bits.h"
#include "word_memory.h"

namespace swiommu::amd {
namespace {

constexpr std::uint64_t device_table = 0x100000, host_root = 0x20000, guest_root = 0x30000, gcr3_table = 0x40000;
constexpr std::uint32_t device = 0x28;
constexpr std::uint64_t dte = device_table + 32 * device;
constexpr std::uint64_t valid = 1, translated = 2, readable = bit(61), writable = bit(62), guest_io = bit(54), guest = bit(55);

// The three pieces of a GCR3 table's address.
constexpr std::uint64_t gcr3_low(std::uint64_t address) { return bit_field(address, 14, 12) << 58; }
constexpr std::uint64_t gcr3_high(std::uint64_t address) {
  return bit_field(address, 30, 15) << 16 | bit_field(address, 51, 31) << 43;
}

// Guest addresses are shifted by a constant.
class ShiftedMemory : public MemoryView {
 public:
  ShiftedMemory(MemoryView const& below, std::uint64_t shift) : below_(below), shift_(shift) {}
  Chunk locate(std::uint64_t address, Access access) const override { return below_.locate(address + shift_, access); }

 private:
  MemoryView const& below_;
  std::uint64_t shift_;
};

class AmdUnit : public testing::Test {
 protected:
  using Found = std::expected<DeviceConfiguration, ConfigurationFault>;

  AmdUnit() { memory.set(dte, {valid | translated | readable | writable | 4 << 9 | host_root, 7, 0, 0}); }

  Found find(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const unit = Unit::create(registers, memory, open_parent);
    EXPECT_TRUE(unit);
    return unit->find(id, pasid);
  }
  std::string fault(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const found = find(pasid, id);
    return found ? "" : found.error().about;
  }
  // Guest translation with a GCR3 table of `levels` levels, for requests without PASID, too.
  void enable_guest(std::uint64_t levels = 1, std::uint64_t table = gcr3_table) {
    memory.at(dte) |= guest | guest_io | (levels - 1) << 56 | gcr3_low(table);
    memory.at(dte + 8) |= gcr3_high(table);
  }
  static std::uint64_t translated_mode(std::uint64_t mode) { return translated | readable | writable | mode << 9 | host_root; }
  void set_mode(std::uint64_t mode) { memory.at(dte) = (memory.at(dte) & ~bit_span(11, 9)) | mode << 9; }

  WordMemory memory;
  Registers registers{.device_table_base = device_table};
  ParentOpener open_parent;
};

TEST_F(AmdUnit, FindsAHostTable) {
  auto const found = find();
  ASSERT_TRUE(found);
  ASSERT_TRUE(found->user);
  EXPECT_FALSE(found->parent);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::translate);
  EXPECT_EQ(found->rights, Access::both());
  EXPECT_EQ(found->user->root, host_root);
  EXPECT_EQ(found->user->format.format, FormatName::amd_v1);
  EXPECT_EQ(found->user->format.levels, 4u);
  EXPECT_FALSE(found->user->format.accessed_updates);
  ASSERT_EQ(found->steps.size(), 2u);
  EXPECT_EQ(found->steps[1].what, "device table entry");
  EXPECT_EQ(found->steps[1].address, dte);
  EXPECT_EQ(found->steps[1].meaning, "host table at 0x20000, 4 levels, IR = 1, IW = 1, domain 7");
}

TEST_F(AmdUnit, TakesTheNumberOfLevelsFromTheMode) {
  for (unsigned mode = 1; mode <= 6; mode++) {
    set_mode(mode);
    EXPECT_EQ(find()->user->format.levels, mode);
  }
  set_mode(7);
  EXPECT_EQ(fault(), "device table entry at 0x100500 has a reserved number of levels (Mode = 7)");
  for (unsigned encoded = 0; encoded < 3; encoded++) {  // HATS
    registers.extended_features = encoded << 10;
    for (unsigned mode = 1; mode <= 6; mode++) {
      set_mode(mode);
      EXPECT_EQ(fault().empty(), mode <= encoded + 4) << mode;
    }
  }
}

TEST_F(AmdUnit, BypassesWithTheRightsOfTheEntry) {
  for (unsigned rights = 0; rights < 4; rights++) {
    memory.at(dte) = valid | translated | std::uint64_t{rights} << 61;
    auto const found = find();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
    EXPECT_EQ(found->rights, (Access{.read = (rights & 1) != 0, .write = (rights & 2) != 0}));
  }
}

TEST_F(AmdUnit, GivesTheRightsOfTheEntryBesidesTheTable) {
  memory.at(dte) &= ~writable;
  EXPECT_EQ(find()->rights, Access::reading());
  memory.at(dte) ^= writable | readable;
  EXPECT_EQ(find()->rights, Access::writing());
}

TEST_F(AmdUnit, ForwardsWhatIsNotValidOrNotEnabled) {
  memory.at(dte) = ~valid;  // all the rest is ignored
  auto found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_EQ(found->rights, Access::both());
  memory.at(dte) = valid;
  registers.control = 0;
  found = find({}, 0xffff);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
}

TEST_F(AmdUnit, BlocksWithoutValidTranslationInformation) {
  memory.at(dte) = valid | readable | writable;
  auto const found = find();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().about, "device table entry at 0x100500 has no valid translation information (TV = 0): DMA is blocked");
  EXPECT_EQ(found.error().entry_address, dte);
  EXPECT_EQ(found.error().entry, valid | readable | writable);
}

TEST_F(AmdUnit, KeepsWithinTheDeviceTable) {
  memory.add_page(device_table + 0x1000);
  EXPECT_EQ(fault({}, 0x7f), "");
  EXPECT_NE(fault({}, 0x80).find("has a table of 128 entries, too small for device 0x80"), std::string::npos);
  registers.device_table_base |= 1;
  EXPECT_EQ(fault({}, 0xff), "");
  EXPECT_NE(fault({}, 0x100).find("too small"), std::string::npos);
  registers.device_table_base |= 0x1ff;
  EXPECT_EQ(fault({}, 0xffff), "device table entry at 0x2fffe0 cannot be reached");
  EXPECT_NE(fault({}, 0x10000).find("device ids have 16 bits"), std::string::npos);
}

TEST_F(AmdUnit, LeavesOtherSegmentsAlone) {
  registers.device_table_base |= 0x1ff;
  registers.control = bit(0) | std::uint64_t{2} << 34;
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(fault({}, 0x3fff), "device table entry at 0x17ffe0 cannot be reached");
  EXPECT_NE(fault({}, 0x4000).find("that is in segment 1 (DevTblSegEn = 2)"), std::string::npos);
}

TEST_F(AmdUnit, FaultsAtEveryReservedBit) {
  std::uint64_t const reserved = bit(63) | bit_span(6, 2);
  for (unsigned n = 0; n < 64; n++) {
    if ((reserved & bit(n)) == 0) continue;
    memory.at(dte) ^= bit(n);
    EXPECT_EQ(fault(), "device table entry at 0x100500 has reserved bits set: " + std::to_string(n));
    memory.at(dte) ^= bit(n);
  }
  registers.host_address_width = 40;
  EXPECT_EQ(find()->user->format.output_bits, 40u);
  memory.at(dte) |= bit(40);
  EXPECT_EQ(fault(), "device table entry at 0x100500 has reserved bits set: 40");
}

TEST_F(AmdUnit, UpdatesFlagsOfHostTablesAsAsked) {
  memory.at(dte) |= 1 << 7;
  EXPECT_TRUE(find()->user->format.accessed_updates);
  EXPECT_FALSE(find()->user->format.dirty_updates);
  memory.at(dte) |= 3 << 7;
  EXPECT_TRUE(find()->user->format.accessed_updates);
  EXPECT_TRUE(find()->user->format.dirty_updates);
  registers.extended_features = 2 << 10 | bit(49);
  EXPECT_NE(fault().find("HDSup = 0"), std::string::npos);
  *registers.extended_features ^= bit(49) | bit(52);
  EXPECT_NE(fault().find("HASup = 0"), std::string::npos);
  *registers.extended_features ^= bit(49);
  EXPECT_EQ(fault(), "");
  memory.at(dte) ^= 1 << 7;
  EXPECT_NE(fault().find("HAD = 2"), std::string::npos);
}

TEST_F(AmdUnit, FindsAGuestTableAlone) {
  set_mode(0);
  enable_guest();
  memory.set(gcr3_table, guest_root | 1);
  auto const found = find();
  ASSERT_TRUE(found);
  ASSERT_TRUE(found->user);
  EXPECT_FALSE(found->parent);
  EXPECT_EQ(found->user->root, guest_root);
  EXPECT_EQ(found->user->format.format, FormatName::x86_64);
  EXPECT_EQ(found->user->format.levels, 4u);
  EXPECT_TRUE(found->user->format.accessed_updates);
  EXPECT_TRUE(found->user->format.dirty_updates);
  EXPECT_TRUE(found->user->format.zero_extended);
  ASSERT_EQ(found->steps.size(), 3u);
  EXPECT_EQ(found->steps[2].what, "level 1 GCR3 table entry");
  EXPECT_EQ(found->steps[2].meaning, "PASID 0x0: guest table at 0x30000");
}

TEST_F(AmdUnit, AssemblesTheAddressOfTheGcr3Table) {
  set_mode(0);
  for (unsigned n = 12; n < 52; n++) {
    memory.set(dte, {valid | translated, 0, 0, 0});
    enable_guest(1, bit(n));
    EXPECT_EQ(find().error().steps.back().address, bit(n)) << n;
  }
}

TEST_F(AmdUnit, FindsTheTableOfEachPasid) {
  set_mode(0);
  for (unsigned levels = 1; levels <= 3; levels++) {
    memory.at(dte) &= ~bit_span(60, 54);
    memory.at(dte + 8) = 0;
    std::uint64_t const root = 0x1000000 * levels;
    enable_guest(levels, root);
    std::uint32_t const pasid = levels == 1 ? 0x1a5 : levels == 2 ? 0x2a9a5 : 0xea9a5;
    std::uint64_t at = root;
    for (unsigned level = levels; level > 1; level--) {
      memory.set(at + 8 * (pasid >> 9 * (level - 1) & 0x1ff), (at + 0x1000) | 1);
      at += 0x1000;
    }
    memory.set(at + 8 * (pasid & 0x1ff), guest_root | 1);
    auto const found = find(pasid);
    ASSERT_TRUE(found) << found.error().about;
    EXPECT_EQ(found->user->root, guest_root);
    EXPECT_FALSE(found->user->format.zero_extended);
    EXPECT_EQ(found->steps.size(), 2 + levels);
    EXPECT_NE(fault(pasid ^ 1).find("is not valid (V = 0)"), std::string::npos);
    EXPECT_NE(fault(bit(9 * levels)).find("too small for PASID"), std::string::npos);
    EXPECT_NE(fault(0xffffffff).find("too small for PASID"), std::string::npos);
  }
}

TEST_F(AmdUnit, TranslatesByTheHostTableWhatHasNoPasid) {
  enable_guest();
  memory.at(dte) &= ~guest_io;
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user->root, host_root);
  EXPECT_FALSE(found->parent);
  set_mode(0);
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::bypass);
}

TEST_F(AmdUnit, BlocksPasidsWithoutGuestTranslation) {
  EXPECT_NE(fault(0).find("has no guest translation (GV = 0): requests with a PASID are blocked"), std::string::npos);
  set_mode(0);
  EXPECT_NE(fault(1).find("GV = 0"), std::string::npos);
}

TEST_F(AmdUnit, ReadsTheGcr3TableThroughTheParent) {
  enable_guest();
  constexpr std::uint64_t shift = 0x700000;
  memory.set(gcr3_table + shift + 8 * 5, guest_root | 1);
  EXPECT_NE(fault(5).find("nothing was given to read through that"), std::string::npos);
  open_parent = [](UserPageTable const&, MemoryView const&) { return nullptr; };
  EXPECT_NE(fault(5).find("cannot be opened"), std::string::npos);
  UserPageTable parent;
  MemoryView const* below = nullptr;
  open_parent = [&](UserPageTable const& table, MemoryView const& memory_below) {
    parent = table;
    below = &memory_below;
    return std::make_unique<ShiftedMemory>(memory_below, shift);
  };
  registers.host_address_width = 44;
  auto const found = find(5);
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_EQ(below, &memory);
  EXPECT_EQ(parent.root, host_root);
  EXPECT_EQ(parent.format.format, FormatName::amd_v1);
  ASSERT_TRUE(found->user && found->parent);
  EXPECT_EQ(found->user->root, guest_root);
  EXPECT_EQ(found->user->format.output_bits, 0u);
  EXPECT_EQ(found->parent->root, host_root);
  EXPECT_EQ(found->parent->format.levels, 4u);
  EXPECT_EQ(found->parent->format.output_bits, 44u);
  EXPECT_EQ(found->steps.back().address, gcr3_table + 8 * 5);
  memory.remove_page(gcr3_table + shift);
  EXPECT_EQ(fault(5), "level 1 GCR3 table entry at 0x40028 cannot be reached");
}

TEST_F(AmdUnit, ReadsTheGcr3TableBesidesTheParentIfTheControlRegisterSaysSo) {
  enable_guest();
  memory.set(gcr3_table, guest_root | 1);
  registers.control = bit(0) | bit(16);
  auto const found = find();
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_EQ(found->user->root, guest_root);
  EXPECT_EQ(found->parent->root, host_root);
  *registers.control |= bit(58);  // GCR3TRPMode
  EXPECT_NE(fault(), "");
}

TEST_F(AmdUnit, FaultsAtReservedGuestEncodings) {
  set_mode(0);
  enable_guest(4);
  EXPECT_NE(fault().find("GLX = 3"), std::string::npos);
  enable_guest(1);
  memory.at(dte) &= ~bit_span(57, 56);
  memory.set(gcr3_table, guest_root | 1);
  EXPECT_EQ(fault(), "");
  memory.at(dte + 16) = std::uint64_t{1} << 54;
  EXPECT_EQ(find()->user->format.levels, 5u);
  for (std::uint64_t const mode : {2, 3}) {
    memory.at(dte + 16) = mode << 54;
    EXPECT_NE(fault().find("GuestPagingMode = " + std::to_string(mode)), std::string::npos);
  }
}

TEST_F(AmdUnit, FaultsAtWhatTheIommuDoesNotHave) {
  set_mode(0);
  enable_guest(2);
  memory.at(dte + 16) = std::uint64_t{1} << 54;
  memory.set(gcr3_table, (gcr3_table + 0x1000) | 1);
  memory.set(gcr3_table + 0x1000, guest_root | 1);
  constexpr std::uint64_t enough = bit(4) | bit(48) | 1 << 12 | 1 << 14;
  registers.extended_features = enough;
  EXPECT_EQ(fault(), "");
  for (unsigned const n : {4u, 48u, 12u, 14u}) {
    registers.extended_features = enough ^ bit(n);
    EXPECT_NE(fault(), "") << n;
  }
  registers.extended_features = enough;
  registers.control = bit(0);
  EXPECT_NE(fault().find("GTEn = 0"), std::string::npos);
}

TEST_F(AmdUnit, FaultsAtEveryReservedBitOfAGcr3Entry) {
  set_mode(0);
  enable_guest(2);
  memory.set(gcr3_table, (gcr3_table + 0x1000) | 1);
  memory.set(gcr3_table + 0x1000, guest_root | 1);
  std::uint64_t const reserved = bit_span(63, 52) | bit_span(11, 5) | bit_span(2, 1);
  for (std::uint64_t const address : {gcr3_table, gcr3_table + 0x1000})
    for (unsigned n = 0; n < 64; n++) {
      if ((reserved & bit(n)) == 0) continue;
      memory.at(address) ^= bit(n);
      EXPECT_NE(fault().find("has reserved bits set: " + std::to_string(n)), std::string::npos) << n;
      memory.at(address) ^= bit(n);
    }
  EXPECT_EQ(fault(), "");
}

TEST_F(AmdUnit, AnswersWhateverTheStructuresHold) {
  open_parent = [](UserPageTable const&, MemoryView const& below) { return std::make_unique<ShiftedMemory>(below, 0); };
  std::mt19937_64 random(1);
  unsigned tables = 0, faults = 0;
  for (unsigned round = 0; round < 20000; round++) {
    memory.set(dte, {valid | translated_mode(random() % 7), 7, 0, 0});
    enable_guest(1 + random() % 3);
    memory.set(gcr3_table, gcr3_table | 1);
    std::uint64_t const address = random() % 4 ? dte + 8 * (random() % 3) : gcr3_table;
    memory.at(address) ^= random() % 2 ? random() : bit(static_cast<unsigned>(random() % 64));
    auto const pasid = random() % 2 ? std::optional<std::uint32_t>(random() >> (32 + random() % 32)) : std::nullopt;
    auto const found = find(pasid, random() % 8 ? device : static_cast<std::uint32_t>(random() % 0x20000));
    if (!found) {
      faults++;
      EXPECT_FALSE(found.error().about.empty());
      EXPECT_FALSE(found.error().steps.empty());
    } else if (found->kind == DeviceConfiguration::Kind::translate) {
      tables++;
      ASSERT_TRUE(found->user);
      EXPECT_TRUE(found->user->format.levels >= 1 && found->user->format.levels <= 6);
      EXPECT_EQ(found->user->root & ~bit_span(51, 12), 0u);
    } else {
      EXPECT_FALSE(found->user || found->parent);
    }
  }
  EXPECT_GT(tables, 100u);
  EXPECT_GT(faults, 100u);
}

TEST_F(AmdUnit, RefusesAHostAddressWidthThatIsNone) {
  for (unsigned const width : {1u, 31u, 53u}) {
    registers.host_address_width = width;
    auto const unit = Unit::create(registers, memory);
    ASSERT_FALSE(unit);
    EXPECT_EQ(unit.error().code, EINVAL);
  }
}

}  // namespace
}  // namespace swiommu::amd
