#include "smmuv3_fixture.h"

namespace swiommu::smmuv3 {
namespace {

TEST_F(Smmuv3, FindsTheTableOfAStageOneStream) {
  auto const found = find();
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::translate);
  EXPECT_FALSE(found->user_upper);
  EXPECT_FALSE(found->parent);
  EXPECT_FALSE(found->lower_blocked);
  ASSERT_TRUE(found->user);
  EXPECT_EQ(found->user->root, root);
  EXPECT_FALSE(found->user->big_endian);
  FormatConfiguration const& format = found->user->format;
  EXPECT_EQ(format.format, FormatName::arm_stage1);
  EXPECT_EQ(format.levels, 4u);
  EXPECT_EQ(format.granule_lg2, 12u);
  EXPECT_EQ(format.input_bits, 48u);
  EXPECT_EQ(format.output_bits, 48u);
  EXPECT_EQ(format.memory_attributes, mair);
  EXPECT_TRUE(format.access_flag_faults);
  EXPECT_TRUE(format.table_rights);
  EXPECT_FALSE(format.accessed_updates || format.dirty_updates || format.top_byte_ignored || format.upper_half);
}

class Smmuv3Substreams : public Smmuv3 {
 protected:
  static constexpr std::uint32_t substream = 0x45;
  // S1CDMax = 12, S1Fmt, S1DSS
  void set_ste(unsigned format, unsigned default_substream) {
    memory.at(ste) = 1 | config(5) | std::uint64_t{format} << 4 | cd_table | std::uint64_t{12} << 59;
    memory.at(ste + 8) = default_substream;
  }
};

TEST_F(Smmuv3Substreams, FindsACdInEachShapeOfTable) {
  struct Case {
    unsigned format;
    std::uint64_t descriptor, cd;
  };
  for (Case const& c : {Case{0, 0, 0x40000 + 64 * substream}, Case{3, 0, 0x40000 + 64 * substream},
                        Case{1, cd_table + 8, cd_leaf + 64 * 5}, Case{2, cd_table, cd_leaf + 64 * substream}}) {
    SCOPED_TRACE(c.format);
    set_ste(c.format, 2);
    if (c.descriptor) {
      memory.set(c.descriptor, cd_leaf | 1);
    } else {
      memory.at(ste) += 0x20000;  // a linear table of 4096 CDs starts at a multiple of 256 KiB
      memory.at(ste) |= 0x1000;   // and the bits below are not looked at
    }
    set_cd(c.cd, 25);
    auto const found = find(substream);
    ASSERT_TRUE(found) << found.error().about;
    EXPECT_EQ(found->steps.back().address, c.cd);
    EXPECT_EQ(found->user->format.input_bits, 39u);
    EXPECT_EQ(found->user->format.levels, 3u);
    if (c.descriptor) {
      memory.set(c.descriptor, cd_leaf);
      EXPECT_NE(fault(substream).find("is not valid (V = 0), C_BAD_SUBSTREAMID"), std::string::npos);
      memory.set(c.descriptor, 0x7000001);
      EXPECT_NE(fault(substream).find("cannot be reached, F_CD_FETCH"), std::string::npos);
    }
  }
}

TEST_F(Smmuv3Substreams, TreatsRequestsWithoutASubstreamAsS1dssSays) {
  for (unsigned const reserved : {0u, 3u}) {
    set_ste(1, reserved);
    EXPECT_EQ(fault(), "STE at 0x100c0 terminates DMA without a SubstreamID (S1DSS), F_STREAM_DISABLED");
  }
  set_ste(1, 1);
  EXPECT_EQ(find()->kind, DeviceConfiguration::Kind::bypass);
  memory.at(ste) |= config(7);
  set_stage2();
  auto const through_stage2 = find();
  ASSERT_TRUE(through_stage2);
  EXPECT_EQ(through_stage2->user->root, stage2_root);
  EXPECT_FALSE(through_stage2->parent);

  set_ste(1, 2);
  memory.set(cd_table, cd_leaf | 1);
  set_cd(cd_leaf, 25);
  EXPECT_EQ(find()->user->format.input_bits, 39u);
  EXPECT_EQ(fault(0), "STE at 0x100c0 keeps SubstreamID 0 for DMA without one (S1DSS = 2), F_STREAM_DISABLED");
  set_ste(1, 1);
  EXPECT_EQ(fault(0), "");
}

TEST_F(Smmuv3Substreams, RefusesIdsBeyondTheTable) {
  EXPECT_EQ(fault(0), "STE at 0x100c0 has no SubstreamID 0x0 (S1CDMax = 0), C_BAD_SUBSTREAMID");
  set_ste(1, 2);
  EXPECT_EQ(fault(4096), "STE at 0x100c0 has no SubstreamID 0x1000 (S1CDMax = 12), C_BAD_SUBSTREAMID");
  EXPECT_NE(fault(0xffffffff), "");
  registers.idr1 = 11 << 6 | 32;
  EXPECT_EQ(fault(), "STE at 0x100c0 is illegal: S1CDMax = 12 is above IDR1.SSIDSIZE = 11, C_BAD_STE");
  registers.idr1 = 32;  // no substreams: S1CDMax and S1Fmt are ignored
  memory.at(ste) &= ~std::uint64_t{0xff000};
  memory.at(ste) |= cd_table;
  EXPECT_EQ(fault(), "");
  EXPECT_NE(fault(1), "");
  registers.idr1.reset();
  registers.idr0 = 3 | 2 << 2 | 1 << 12 | 1 << 18;
  EXPECT_EQ(fault(), "STE at 0x100c0 is illegal: S1Fmt = 1 asks for a 2-level CD table, which IDR0.CD2L lacks, C_BAD_STE");
}

TEST_F(Smmuv3, FindsBothHalves) {
  // T1SZ = 25, TG1 = 64 KiB, TBI1, HAD1, AFFD, HA, HD, ENDI
  memory.at(cd_table) &= ~bit(30);
  memory.at(cd_table) |= 22 << 16 | 3 << 22 | bit(39) | bit(35) | bit(43) | bit(42) | bit(15);
  memory.at(cd_table + 16) = 0x60000 | 2;
  auto found = find();
  ASSERT_TRUE(found) << found.error().about;
  ASSERT_TRUE(found->user && found->user_upper);
  FormatConfiguration const& upper = found->user_upper->format;
  EXPECT_EQ(found->user_upper->root, 0x60000u);
  EXPECT_TRUE(found->user_upper->big_endian && found->user->big_endian);
  EXPECT_TRUE(upper.upper_half && upper.top_byte_ignored && upper.accessed_updates && upper.dirty_updates);
  EXPECT_FALSE(upper.access_flag_faults || upper.table_rights);
  EXPECT_EQ(upper.granule_lg2, 16u);
  EXPECT_EQ(upper.input_bits, 42u);
  EXPECT_EQ(upper.levels, 2u);
  EXPECT_TRUE(found->user->format.table_rights);
  EXPECT_FALSE(found->user->format.upper_half || found->user->format.top_byte_ignored);
  registers.idr3 = 0;  // no HAD
  EXPECT_TRUE(find()->user_upper->format.table_rights);

  memory.at(cd_table) |= bit(14);  // EPD0
  found = find();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->lower_blocked);
  EXPECT_FALSE(found->user);
  EXPECT_TRUE(found->user_upper);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::translate);
  memory.at(cd_table) |= bit(30);
  found = find();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->lower_blocked);
  EXPECT_FALSE(found->user || found->user_upper);
}

TEST_F(Smmuv3, LooksAtOneTableOnlyForStreamsOfEl2) {
  memory.at(ste + 8) = bit(31);    // STRW = 2
  memory.at(cd_table) |= bit(14);  // EPD0
  memory.at(cd_table) &= ~bit(30);
  memory.at(cd_table) |= 2 << 22 | 16 << 16;
  EXPECT_TRUE(find()->lower_blocked);
  registers.cr2 = 1;  // E2H
  EXPECT_TRUE(find()->lower_blocked);
  registers.cr2 = 0;
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->user);
  EXPECT_FALSE(found->user_upper || found->lower_blocked);
  memory.at(ste + 8) = bit(30);
  EXPECT_EQ(fault(), "STE at 0x100c0 is illegal: STRW = 1 is reserved, C_BAD_STE");
}

TEST_F(Smmuv3, RefusesAnIllegalCd) {
  EXPECT_EQ(fault_with(cd_table, 0, bit(31)), "CD at 0x20000 is not valid (V = 0), C_BAD_CD");
  EXPECT_EQ(fault_with(cd_table, 2, 0x3f), "CD at 0x20000 is illegal: T0SZ = 2 is not in 16..39, C_BAD_CD");
  EXPECT_NE(fault_with(cd_table, 15, 0x3f), "");
  EXPECT_EQ(fault_with(cd_table, 39, 0x3f), "");
  EXPECT_NE(fault_with(cd_table, 40, 0x3f), "");
  EXPECT_EQ(fault_with(cd_table, 12 | 1 << 6, 0xff), "");  // 52 bits with 64 KiB
  EXPECT_NE(fault_with(cd_table, 3 << 6), "");             // TG0 reserved
  EXPECT_EQ(fault_with(cd_table, 0, bit(30)), "CD at 0x20000 is illegal: TG1 = 0 is reserved, C_BAD_CD");
  EXPECT_EQ(fault_with(cd_table + 8, bit(48)),
            "CD at 0x20000 is illegal: TTB0 = 0x1000000040000 is beyond the 48 bits of IPS, C_BAD_CD");
  EXPECT_NE(fault_with(cd_table + 16, bit(58)), "");  // DS
  // what EPD0 switches off is not looked at
  EXPECT_EQ(fault_with(cd_table, bit(14) | 3 << 6 | 2, 0x3f), "");
  registers.idr0 = 2 | 2 << 2 | 2 << 21 | 1 << 24 | 1 << 26;  // no HTTU, little-endian, never stalls, aborts, 8-bit ASIDs
  EXPECT_EQ(fault(), "");
  EXPECT_EQ(fault_with(cd_table, 0, bit(41)),
            "CD at 0x20000 is illegal: AA64 = 0 selects VMSAv8-32 tables, which IDR0.TTF lacks, C_BAD_CD");
  for (unsigned const position : {15u, 42u, 43u, 44u, 56u}) EXPECT_NE(fault_with(cd_table, bit(position)), "") << position;
  EXPECT_NE(fault_with(cd_table, 0, bit(46)), "");
  EXPECT_NE(fault_with(ste + 8, bit(27)), "");  // S1STALLD where stalls cannot be chosen
  registers.idr0 = 2 | 2 << 2 | 3 << 21 | 1 << 12;
  EXPECT_NE(fault(), "");  // tables are big-endian only
  EXPECT_EQ(fault_with(cd_table, bit(15)), "");
  registers.idr0 = 1 | 2 << 2;
  EXPECT_EQ(fault(), "STE at 0x100c0 is illegal: Config = 5 asks for stage 1, which IDR0.S1P lacks, C_BAD_STE");
  registers.idr0.reset();
  registers.idr5 = 2 | 1 << 5 | 1 << 6;  // 40 output bits, 16 and 64 KiB
  EXPECT_NE(fault(), "");
  EXPECT_EQ(fault_with(cd_table, 2 << 6), "");
  EXPECT_NE(fault_with(cd_table, 12 | 1 << 6, 0xff), "");  // no 52-bit inputs
  registers.idr5 = 2 | 1 << 4;
  EXPECT_EQ(find()->user->format.output_bits, 40u);
  EXPECT_NE(fault_with(cd_table + 8, bit(40)), "");
  registers.idr3 = 1 << 9;  // small tables
  EXPECT_EQ(fault_with(cd_table, 48, 0x3f), "");
  EXPECT_NE(fault_with(cd_table, 49, 0x3f), "");
}

// Any words may stand in the structures: there is an answer, and it is never outside what formats have.
TEST_F(Smmuv3, AnswersWhateverTheWordsAre) {
  std::uint64_t state = 1;
  auto const random = [&] { return state = state * 6364136223846793005 + 1442695040888963407, state ^ state >> 29; };
  open_parent = [](UserPageTable const&, MemoryView const& below) { return std::make_unique<ShiftedMemory>(below, 0); };
  memory.add_page(0);
  unsigned translated = 0;
  for (unsigned n = 0; n < 20000; ++n) {
    for (unsigned i = 0; i < 4; ++i) {
      memory.at(ste + 8 * i) = random();
      memory.at(cd_table + 8 * i) = random();
    }
    memory.at(ste) = (memory.at(ste) & ~bit_span(55, 6) & ~bit_span(63, 59)) | 1 | 8 | cd_table;
    memory.at(cd_table) |= bit(31) | bit(41);
    memory.at(cd_table + 8) &= bit_span(31, 0);
    auto const found = find();
    if (!found) {
      EXPECT_FALSE(found.error().about.empty());
      continue;
    }
    for (auto const& table : {found->user, found->user_upper, found->parent}) {
      if (!table) continue;
      ++translated;
      EXPECT_GE(table->format.levels, 1u);
      EXPECT_LE(table->format.levels, 4u);
      EXPECT_GE(table->format.input_bits, 25u);
      EXPECT_LE(table->format.input_bits, 52u);
    }
  }
  EXPECT_GT(translated, 100u);
}

}  // namespace
}  // namespace swiommu::smmuv3
