#include "smmuv3_fixture.h"

namespace swiommu::smmuv3 {
namespace {

TEST_F(Smmuv3, RemembersTheWay) {
  auto const found = find();
  ASSERT_TRUE(found);
  std::vector<std::string> names;
  for (auto const& step : found->steps) names.push_back(step.what);
  EXPECT_EQ(names, (std::vector<std::string>{"STRTAB_BASE", "STRTAB_BASE_CFG", "STE", "CD"}));
  EXPECT_EQ(found->steps[2].address, ste);
  EXPECT_EQ(found->steps[2].words.size(), 8u);
  EXPECT_EQ(found->steps[3].address, cd_table);
  for (auto const& step : found->steps) EXPECT_FALSE(step.meaning.empty());
}

TEST_F(Smmuv3, NamesTheStructureThatIsNotValid) {
  memory.at(ste) &= ~std::uint64_t{1};
  auto const found = find();
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().about, "STE at 0x100c0 is not valid (V = 0), C_BAD_STE");
  EXPECT_EQ(found.error().entry_address, ste);
  EXPECT_EQ(found.error().entry, memory.at(ste));
  EXPECT_EQ(found.error().steps.size(), 3u);
}

TEST_F(Smmuv3, BypassesOrAbortsWhileItIsOff) {
  registers.cr0 = 0;
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_EQ(found->bypass_base, 0u);
  registers.gbpa = 0;
  EXPECT_EQ(fault(), "");
  registers.gbpa = 1 << 20;
  EXPECT_EQ(fault(), "GBPA = 0x100000 aborts all DMA while the SMMU is off (ABORT = 1)");
  registers.cr0 = 1;
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::translate);
}

TEST_F(Smmuv3, HasNoStreamsBeyondTheTableOrTheId) {
  EXPECT_EQ(fault({}, 16), "STRTAB_BASE_CFG = 0x4 has no STE for StreamID 0x10: they have 4 bits, C_BAD_STREAMID");
  registers.idr1 = 1;  // SIDSIZE
  EXPECT_EQ(fault({}, 2), "STRTAB_BASE_CFG = 0x4 has no STE for StreamID 0x2: they have 1 bits, C_BAD_STREAMID");
  registers = {.strtab_base = stream_table, .strtab_base_cfg = 32};
  EXPECT_NE(fault({}, 0xffffffff), "");  // aligned to 2^38, and there is nothing
}

TEST_F(Smmuv3, AlignsTheStreamTableToItsSize) {
  registers.strtab_base |= 0x3c0;
  EXPECT_EQ(fault(), "");
  registers.strtab_base |= 0x400;  // beyond the 16 STEs
  EXPECT_NE(fault(), "");
}

TEST_F(Smmuv3, SaysWhichStructureCannotBeReached) {
  memory.remove_page(stream_table);
  EXPECT_EQ(fault(), "STE at 0x100c0 cannot be reached, F_STE_FETCH");
  memory.set(ste, {1 | config(5) | cd_table, 0, 0, 0, 0, 0, 0, 0});
  memory.remove_page(cd_table);
  EXPECT_EQ(fault(), "CD at 0x20000 cannot be reached, F_CD_FETCH");
}

TEST_F(Smmuv3, DescendsATwoLevelStreamTable) {
  for (unsigned const split : {6u, 8u, 10u}) {
    SCOPED_TRACE(split);
    std::uint32_t const id = (5u << split) + 7;
    registers.strtab_base_cfg = (split + 4) | split << 6 | 1 << 16;
    std::uint64_t const descriptor = stream_table + 8 * 5;
    memory.set(descriptor, second_level | 4);  // 8 STEs
    memory.set(second_level + 64 * 7, {1 | config(5) | cd_table, 0, 0, 0, 0, 0, 0, 0});
    auto const found = find({}, id);
    ASSERT_TRUE(found) << found.error().about;
    EXPECT_EQ(found->steps[2].what, "L1STD");
    EXPECT_EQ(found->steps[3].address, second_level + 64 * 7);
    EXPECT_EQ(found->user->root, root);

    EXPECT_EQ(fault({}, id + 1), "L1STD at 0x10028 leads to 8 STEs, and number 8 is asked for, C_BAD_STREAMID");
    for (unsigned const span : {0u, 12u, 31u, split + 2}) {
      memory.at(descriptor) = second_level | span;
      EXPECT_EQ(fault({}, id), "L1STD at 0x10028 leads to no STEs (Span = " + std::to_string(span) + "), C_BAD_STREAMID");
    }
    memory.at(descriptor) = 0x7000000 | 4;
    EXPECT_EQ(fault({}, id), "STE at 0x70001c0 cannot be reached, F_STE_FETCH");
    memory.at(descriptor) = second_level | 0x1c0 | 4;  // aligned to 8 STEs
    EXPECT_EQ(fault({}, id), "");
  }
  registers.strtab_base = 0x7000000;
  EXPECT_EQ(fault(), "L1STD at 0x7000000 cannot be reached, F_STE_FETCH");
}

TEST_F(Smmuv3, TreatsReservedStreamTableShapesAsTheManualSays) {
  registers.strtab_base_cfg = 10 | 7 << 6 | 1 << 16;  // reserved split: 6
  memory.set(stream_table + 8 * 2, second_level | 7);
  memory.set(second_level + 64, {1 | config(4), 0, 0, 0, 0, 0, 0, 0});
  EXPECT_EQ(fault({}, 2 << 6 | 1), "");
  registers.strtab_base_cfg = 4 | 2 << 16;  // reserved format: linear
  EXPECT_EQ(fault(), "");
  registers.strtab_base_cfg = 4 | 1 << 16;  // two levels, but not implemented: linear
  registers.idr0 = 0x00400000 | 3 | 2 << 2 | 1 << 12 | 1 << 18;
  EXPECT_EQ(fault(), "");
}

TEST_F(Smmuv3, BlocksOrBypassesAsTheConfigSays) {
  for (unsigned const value : {0u, 1u, 2u, 3u}) {
    memory.at(ste) = 1 | config(value);
    EXPECT_EQ(fault(), "STE at 0x100c0 aborts all DMA (Config = " + std::to_string(value) + "), no event is recorded");
  }
  memory.at(ste) = 1 | config(4);
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_FALSE(found->user || found->user_upper || found->parent);
  EXPECT_EQ(fault(0), "STE at 0x100c0 has stage 1 off, so no SubstreamID 0x0, C_BAD_SUBSTREAMID");
}

}  // namespace
}  // namespace swiommu::smmuv3
