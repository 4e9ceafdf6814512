#include "swiommu/hardware/riscv.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "shifted_memory.h"
#include "swiommu/base/bits.h"
#include "word_memory.h"

namespace swiommu::riscv {
namespace {

// DDT pages from the root down, the same for PDT
constexpr std::uint64_t ddt[] = {0x10000, 0x11000, 0x12000};
constexpr std::uint64_t pdt[] = {0x20000, 0x21000, 0x22000};
constexpr std::uint64_t root = 0x40000, second_root = 0x50000;
// Sv39, Sv48, Sv57, Svpbmt, and the same x4; MSI_FLAT, AMO_HWAD, ATS, T2GPA, END; 50 address bits; PD8, PD17, PD20
constexpr std::uint64_t everything =
    0x10 | 7 << 9 | 1 << 15 | 7 << 17 | bit_span(27, 22) | std::uint64_t{50} << 32 | bit_span(40, 38);
constexpr std::uint64_t base_format = everything & ~bit(22);

constexpr std::uint64_t pointer(unsigned mode, std::uint64_t address) { return std::uint64_t{mode} << 60 | address >> 12; }
constexpr std::uint64_t next(std::uint64_t page) { return page >> 12 << 10 | 1; }

class RiscvUnit : public testing::Test {
 protected:
  using Found = std::expected<DeviceConfiguration, ConfigurationFault>;

  // Device 5 has its context in the root page: one level, base format, first stage Sv39.
  RiscvUnit() { memory.set(context, {1, 0, 0x1000, pointer(8, root)}); }

  Found find(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const unit = Unit::create(registers, memory, open_parent);
    EXPECT_TRUE(unit);
    return unit->find(id, pasid);
  }
  // The text of the fault; empty if there is none.
  std::string fault(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const found = find(pasid, id);
    return found ? "" : found.error().about;
  }
  // The text of the fault with the word at `address` replaced.
  std::string fault_with(std::uint64_t address, std::uint64_t word, std::optional<std::uint32_t> pasid = {}) {
    std::uint64_t const old = memory.at(address);
    memory.at(address) = word;
    std::string text = fault(pasid);
    memory.at(address) = old;
    return text;
  }

  static constexpr std::uint32_t device = 5;
  static constexpr std::uint64_t context = ddt[0] + 32 * device;
  WordMemory memory;
  Registers registers{.capabilities = base_format, .fctl = 0, .ddtp = ddt[0] >> 12 << 10 | 2};
  ParentOpener open_parent;
};

TEST_F(RiscvUnit, FindsTheFirstStageTable) {
  struct Case {
    unsigned mode, levels;
  };
  for (Case const& c : {Case{8, 3}, Case{9, 4}, Case{10, 5}}) {
    memory.at(context + 24) = pointer(c.mode, root);
    auto const found = find();
    ASSERT_TRUE(found) << found.error().about;
    EXPECT_EQ(found->kind, DeviceConfiguration::Kind::translate);
    EXPECT_FALSE(found->parent || found->user_upper);
    ASSERT_TRUE(found->user);
    EXPECT_EQ(found->user->root, root);
    EXPECT_FALSE(found->user->big_endian);
    EXPECT_EQ(found->user->format.format, FormatName::riscv);
    EXPECT_EQ(found->user->format.levels, c.levels);
    EXPECT_EQ(found->user->format.output_bits, 50u);
    EXPECT_TRUE(found->user->format.svpbmt && found->user->format.svnapot);
    EXPECT_FALSE(found->user->format.accessed_updates || found->user->format.dirty_updates);
    ASSERT_EQ(found->steps.size(), 2u);
    EXPECT_EQ(found->steps[1].what, "DC");
    EXPECT_EQ(found->steps[1].address, context);
    EXPECT_EQ(found->steps[1].words.size(), 4u);
  }
  registers.capabilities &= ~bit(15);
  EXPECT_FALSE(find()->user->format.svpbmt);
}

TEST_F(RiscvUnit, TakesTheModeOfTheDirectoryPointer) {
  registers.ddtp = 0;
  EXPECT_EQ(fault(), "ddtp = 0x0 blocks all DMA (iommu_mode = Off), cause 256");
  registers.ddtp = 1;
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_FALSE(find()->user);
  for (unsigned const mode : {5u, 13u, 14u, 15u}) {
    registers.ddtp = ddt[0] >> 12 << 10 | mode;
    EXPECT_NE(fault(), "");
  }
}

TEST_F(RiscvUnit, DescendsDirectoriesOfEachDepthAndFormat) {
  for (bool const extended : {false, true}) {
    for (unsigned const levels : {1u, 2u, 3u}) {
      SCOPED_TRACE(testing::Message() << levels << " levels, extended " << extended);
      registers.capabilities = extended ? everything : base_format;
      registers.ddtp = ddt[0] >> 12 << 10 | (levels + 1);
      unsigned const leaf_bits = extended ? 6 : 7, size = extended ? 64 : 32;
      unsigned const device_bits = std::min(24u, leaf_bits + 9 * (levels - 1));
      std::uint32_t const id = 0xa5a5a5 & static_cast<std::uint32_t>(low_bits(device_bits));
      WordMemory fresh;
      for (unsigned level = levels - 1; level > 0; --level) {
        std::uint64_t const index = id >> (leaf_bits + 9 * (level - 1)) & 0x1ff;
        fresh.set(ddt[levels - 1 - level] + 8 * index, next(ddt[levels - level]));
      }
      std::uint64_t const at = ddt[levels - 1] + size * (id & low_bits(leaf_bits));
      fresh.set(at, {1, 0, 0x1000, pointer(8, root), 0, 0, 0, 0});
      auto const unit = Unit::create(registers, fresh);
      ASSERT_TRUE(unit);
      auto const found = unit->find(id, {});
      ASSERT_TRUE(found) << found.error().about;
      EXPECT_EQ(found->user->root, root);
      EXPECT_EQ(found->steps.size(), levels + 1);
      EXPECT_EQ(found->steps.back().address, at);
      EXPECT_EQ(found->steps.back().words.size(), size / 8);
      auto const beyond = unit->find(id | 1u << device_bits, {});
      ASSERT_FALSE(beyond);
      EXPECT_NE(beyond.error().about.find("cause 260"), std::string::npos);
    }
  }
}

TEST_F(RiscvUnit, SaysWhichDirectoryEntryIsWrong) {
  registers.ddtp = ddt[0] >> 12 << 10 | 3;
  memory.set(ddt[0], next(ddt[1]));
  memory.set(ddt[1] + 32 * device, {1, 0, 0x1000, pointer(8, root)});
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(fault_with(ddt[0], next(ddt[1]) & ~std::uint64_t{1}), "DDT entry at 0x10000 is not valid (V = 0), cause 258");
  EXPECT_EQ(fault_with(ddt[0], next(ddt[1]) | 2), "DDT entry at 0x10000 is misconfigured: reserved bits 1 are set, cause 259");
  EXPECT_NE(fault_with(ddt[0], next(ddt[1]) | bit(63)), "");
  EXPECT_EQ(fault_with(ddt[0], next(0x7000000)), "DC at 0x70000a0 cannot be reached, cause 257");
  registers.ddtp = 0x7000000 >> 12 << 10 | 3;
  EXPECT_EQ(fault(), "DDT entry at 0x7000000 cannot be reached, cause 257");
  EXPECT_EQ(find().error().entry_address, 0u);
}

TEST_F(RiscvUnit, NamesTheContextThatIsNotValid) {
  memory.at(context) = 0xfffffffffffffffe;
  auto const found = find();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().about, "DC at 0x100a0 is not valid (V = 0), cause 258");
  EXPECT_EQ(found.error().entry_address, context);
  EXPECT_EQ(found.error().entry, 0xfffffffffffffffe);
  EXPECT_EQ(found.error().steps.size(), 2u);
}

TEST_F(RiscvUnit, RefusesAMisconfiguredContext) {
  EXPECT_EQ(fault_with(context, 1 | 1 << 12), "DC at 0x100a0 is misconfigured: reserved bits are set, cause 259");
  EXPECT_EQ(fault_with(context, 1 | bit_span(31, 24)), "");  // custom bits
  for (std::uint64_t const tc : {bit(23), bit(32), bit(63), bit(3), bit(2), bit(1) | bit(6), bit(1) | bit(3), bit(9), bit(11)})
    EXPECT_NE(fault_with(context, 1 | tc), "") << tc;
  EXPECT_EQ(fault_with(context, 1 | bit(1) | bit(2) | bit(4) | bit(6)), "");
  for (std::uint64_t const ta : {bit(0), bit(11), bit(32), bit(39), bit(40), bit(63)})
    EXPECT_NE(fault_with(context + 16, ta), "") << ta;
  for (unsigned const mode : {1u, 7u, 11u, 15u}) EXPECT_NE(fault_with(context + 24, pointer(mode, root)), "") << mode;
  EXPECT_NE(fault_with(context + 24, pointer(8, root) | bit(44)), "");
  for (unsigned const mode : {1u, 7u, 11u, 15u}) EXPECT_NE(fault_with(context + 8, pointer(mode, second_root)), "") << mode;
  EXPECT_EQ(fault_with(context + 8, pointer(8, second_root + 0x1000)),
            "DC at 0x100a0 is misconfigured: the second-stage root 0x51000 is no multiple of 16 KiB, cause 259");
}

TEST_F(RiscvUnit, RefusesWhatItsCapabilitiesLack) {
  registers.capabilities = base_format & ~(bit_span(11, 9) | bit_span(19, 17) | bit_span(27, 24) | bit_span(40, 38));
  EXPECT_EQ(fault(), "DC at 0x100a0 is misconfigured: fsc.MODE = 8 is Sv39, which capabilities lacks, cause 259");
  memory.at(context + 24) = 0;
  EXPECT_EQ(fault(), "");
  for (std::uint64_t const tc : {bit(1), bit(7), bit(8), bit(10)}) EXPECT_NE(fault_with(context, 1 | tc), "") << tc;
  EXPECT_EQ(fault_with(context + 8, pointer(9, second_root)),
            "DC at 0x100a0 is misconfigured: iohgatp.MODE = 9 is Sv48x4, which capabilities lacks, cause 259");
  memory.at(context) = 1 | 1 << 5;
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(fault_with(context + 24, pointer(2, pdt[0])),
            "DC at 0x100a0 is misconfigured: pdtp.MODE = 2 is PD17, which capabilities lacks, cause 259");
  registers.capabilities = base_format | bit(41);  // QOSID
  memory.set(context, {1, 0, bit_span(63, 40), pointer(8, root)});
  EXPECT_EQ(fault(), "");
}

TEST_F(RiscvUnit, RefusesThirtyTwoBitTables) {
  EXPECT_NE(fault_with(context, 1 | bit(11)).find("not supported here"), std::string::npos);
  registers.fctl = 4;  // GXL: SXL must be 1
  EXPECT_EQ(fault(), "DC at 0x100a0 is misconfigured: tc.SXL = 0, and fctl.GXL = 1, cause 259");
  memory.set(context, {1 | bit(11), 0, 0, 0});
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_NE(fault_with(context + 8, pointer(8, second_root)).find("not supported here"), std::string::npos);
  EXPECT_NE(fault_with(context + 8, pointer(9, second_root)), "");
}

TEST_F(RiscvUnit, ChecksTheMsiWordsOfTheExtendedFormat) {
  registers.capabilities = everything;
  constexpr std::uint64_t extended = ddt[0] + 64 * device;
  memory.set(extended, {1, 0, 0x1000, pointer(8, root), pointer(1, 0x60000), 1, 2, 0});
  auto const found = find();
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_NE(found->steps.back().meaning.find("MSI"), std::string::npos);
  EXPECT_NE(fault_with(extended + 32, pointer(2, 0x60000)), "");
  EXPECT_NE(fault_with(extended + 32, bit(44)), "");
  EXPECT_NE(fault_with(extended + 40, bit(52)), "");
  EXPECT_NE(fault_with(extended + 48, bit(63)), "");
  EXPECT_NE(fault_with(extended + 56, 1), "");
}

TEST_F(RiscvUnit, PutsTheStagesWhereTheyBelong) {
  memory.set(context, {1 | bit(7), pointer(9, second_root), 0, 0});
  auto found = find();
  ASSERT_TRUE(found) << found.error().about;
  ASSERT_TRUE(found->user);
  EXPECT_FALSE(found->parent);
  EXPECT_EQ(found->user->root, second_root);
  EXPECT_EQ(found->user->format.format, FormatName::riscv_x4);
  EXPECT_EQ(found->user->format.levels, 4u);
  EXPECT_TRUE(found->user->format.accessed_updates && found->user->format.dirty_updates);

  memory.set(context, {1 | bit(8), pointer(8, second_root), 0, pointer(10, root)});
  found = find();
  ASSERT_TRUE(found) << found.error().about;
  ASSERT_TRUE(found->user && found->parent);
  EXPECT_EQ(found->user->root, root);
  EXPECT_EQ(found->user->format.levels, 5u);
  EXPECT_TRUE(found->user->format.accessed_updates && found->user->format.dirty_updates);
  EXPECT_EQ(found->parent->root, second_root);
  EXPECT_EQ(found->parent->format.levels, 3u);
  EXPECT_EQ(found->parent->format.output_bits, 50u);
  EXPECT_FALSE(found->parent->format.accessed_updates || found->parent->format.dirty_updates);

  memory.set(context, {1, 0, 0, 0});
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_FALSE(find()->user);
}

TEST_F(RiscvUnit, ReadsEachStructureInItsByteOrder) {
  registers.fctl = 1;  // BE
  EXPECT_NE(fault(), "");
  auto const swapped = [](std::uint64_t word) { return __builtin_bswap64(word); };
  memory.set(context, {swapped(1 | 1 << 5), swapped(pointer(8, second_root)), 0, swapped(pointer(1, pdt[0]))});
  memory.set(pdt[0] + 16 * 7, {1, pointer(8, root)});  // SBE = 0: little-endian
  open_parent = [](UserPageTable const&, MemoryView const& below) { return std::make_unique<ShiftedMemory>(below, 0); };
  auto found = find(7);
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_TRUE(found->parent->big_endian);
  EXPECT_FALSE(found->user->big_endian);
  EXPECT_EQ(found->user->root, root);
  EXPECT_EQ(found->steps[1].words[0], 1u | 1 << 5);
  registers.capabilities &= ~bit(27);  // one byte order: SBE must be BE
  EXPECT_NE(fault(7), "");
  memory.at(context) = swapped(1 | 1 << 5 | 1 << 10);
  EXPECT_NE(fault(7), "");
  memory.set(pdt[0] + 16 * 7, {swapped(1), swapped(pointer(8, root))});
  found = find(7);
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_TRUE(found->user->big_endian);
}

class RiscvProcesses : public RiscvUnit {
 protected:
  void set_context(unsigned mode, std::uint64_t tc = 0) { memory.set(context, {1 | 1 << 5 | tc, 0, 0, pointer(mode, pdt[0])}); }
};

TEST_F(RiscvProcesses, DescendsDirectoriesOfEachDepth) {
  for (unsigned const levels : {1u, 2u, 3u}) {
    SCOPED_TRACE(levels);
    set_context(levels);
    unsigned const bits = levels == 1 ? 8 : levels == 2 ? 17 : 20;
    std::uint32_t const process = 0xa5a5a & static_cast<std::uint32_t>(low_bits(bits));
    for (unsigned level = levels - 1; level > 0; --level) {
      std::uint64_t const index = process >> (8 + 9 * (level - 1)) & 0x1ff;
      memory.set(pdt[levels - 1 - level] + 8 * index, next(pdt[levels - level]));
    }
    std::uint64_t const at = pdt[levels - 1] + 16 * (process & 0xff);
    memory.set(at, {1 | 0x5000, pointer(9, root)});
    auto const found = find(process);
    ASSERT_TRUE(found) << found.error().about;
    EXPECT_EQ(found->user->root, root);
    EXPECT_EQ(found->user->format.levels, 4u);
    EXPECT_EQ(found->steps.back().address, at);
    EXPECT_NE(fault(process | 1u << bits).find("cause 260"), std::string::npos);
    EXPECT_NE(fault(0xffffffff), "");
  }
}

TEST_F(RiscvProcesses, TreatsRequestsWithoutAProcessAsDpeSays) {
  memory.set(pdt[0], {1, pointer(8, root)});
  set_context(1);
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::bypass);
  set_context(1, bit(9));
  EXPECT_EQ(find()->user->root, root);
  EXPECT_EQ(find(0)->user->root, root);
  set_context(0, bit(9));  // no directory: no first stage
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_EQ(find(0xfffff)->kind, DeviceConfiguration::Kind::bypass);
  memory.set(context, {1, 0, 0, pointer(8, root)});
  EXPECT_EQ(fault(0), "DC at 0x100a0 allows no process_id (tc.PDTV = 0), cause 260");
}

TEST_F(RiscvProcesses, RefusesBrokenEntries) {
  set_context(2);
  memory.set(pdt[0], next(pdt[1]));
  constexpr std::uint64_t process = pdt[1] + 16 * 3;
  memory.set(process, {1 | bit_span(31, 12) | 6, pointer(8, root)});
  EXPECT_EQ(fault(3), "");
  EXPECT_EQ(fault_with(pdt[0], next(pdt[1]) - 1, 3), "PDT entry at 0x20000 is not valid (V = 0), cause 266");
  EXPECT_EQ(fault_with(pdt[0], next(pdt[1]) | bit(9) | bit(54), 3),
            "PDT entry at 0x20000 is misconfigured: reserved bits 54, 9 are set, cause 267");
  EXPECT_EQ(fault_with(process, 0, 3), "PC at 0x21030 is not valid (V = 0), cause 266");
  EXPECT_EQ(fault_with(process, 1 | bit(3), 3), "PC at 0x21030 is misconfigured: reserved bits of ta are set, cause 267");
  EXPECT_NE(fault_with(process, 1 | bit(32), 3), "");
  EXPECT_NE(fault_with(process + 8, pointer(8, root) | bit(59), 3), "");
  EXPECT_NE(fault_with(process + 8, pointer(11, root), 3), "");
  EXPECT_EQ(fault_with(process + 8, 0, 3), "");
  EXPECT_EQ(fault_with(pdt[0], next(0x7000000), 3), "PC at 0x7000030 cannot be reached, cause 265");
  EXPECT_EQ(fault_with(context + 24, pointer(2, 0x7000000), 3), "PDT entry at 0x7000000 cannot be reached, cause 265");
  EXPECT_NE(fault_with(context + 24, pointer(4, pdt[0]), 3), "");
  EXPECT_NE(fault_with(context + 24, pointer(2, pdt[0]) | bit(50), 3), "");
}

TEST_F(RiscvProcesses, ReadsTheDirectoryThroughTheSecondStage) {
  constexpr static std::uint64_t base = 0x8000000;
  memory.set(context, {1 | 1 << 5, pointer(8, second_root), 0, pointer(2, base + pdt[0])});
  memory.set(pdt[0], next(base + pdt[1]));
  memory.set(pdt[1] + 16 * 3, {1, pointer(8, root)});
  EXPECT_EQ(find()->user->root, second_root);  // no process: nothing to read
  std::string const refused = "DC at 0x100a0 has its PDT behind the second stage, and nothing was given that reads through that";
  EXPECT_EQ(fault(3), refused);
  open_parent = [](UserPageTable const&, MemoryView const&) { return nullptr; };
  EXPECT_EQ(fault(3), refused);
  open_parent = [this](UserPageTable const& parent, MemoryView const& below) {
    EXPECT_EQ(parent.root, second_root);
    EXPECT_EQ(&below, &memory);
    return std::make_unique<ShiftedMemory>(below, base);
  };
  auto const found = find(3);
  ASSERT_TRUE(found) << found.error().about;
  ASSERT_TRUE(found->user && found->parent);
  EXPECT_EQ(found->user->root, root);
  EXPECT_EQ(found->parent->root, second_root);
  EXPECT_EQ(fault_with(pdt[0], next(pdt[1]), 3), "PC at 0x21030 cannot be reached, cause 265 or a guest page fault");
}

}  // namespace
}  // namespace swiommu::riscv
