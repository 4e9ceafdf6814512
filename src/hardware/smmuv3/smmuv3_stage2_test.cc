#include "smmuv3_fixture.h"

namespace swiommu::smmuv3 {
namespace {

TEST_F(Smmuv3, FindsTheTableOfAStageTwoStream) {
  memory.at(ste) = 1 | config(6);
  set_stage2();
  auto found = find();
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_FALSE(found->parent);
  ASSERT_TRUE(found->user);
  EXPECT_EQ(found->user->root, stage2_root);
  EXPECT_EQ(found->user->format.format, FormatName::arm_stage2);
  EXPECT_EQ(found->user->format.levels, 4u);
  EXPECT_EQ(found->user->format.granule_lg2, 12u);
  EXPECT_EQ(found->user->format.input_bits, 44u);
  EXPECT_EQ(found->user->format.output_bits, 44u);
  EXPECT_TRUE(found->user->format.access_flag_faults);
  memory.at(ste + 16) |= bit(52) | bit(53) | bit(55) | bit(56);  // S2ENDI, S2AFFD, S2HD, S2HA
  found = find();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->user->big_endian);
  EXPECT_FALSE(found->user->format.access_flag_faults);
  EXPECT_TRUE(found->user->format.accessed_updates && found->user->format.dirty_updates);
  EXPECT_NE(fault(1), "");
}

TEST_F(Smmuv3, StartsStageTwoWhereS2sl0Says) {
  memory.at(ste) = 1 | config(6);
  memory.at(ste + 24) = 0x123456789000 | 0xff0;
  struct Case {
    unsigned granule_code, start, input_bits, levels;  // levels 0: refused
    std::uint64_t root;
  };
  constexpr std::uint64_t base = 0x123456789ff0;
  for (Case const& c : std::initializer_list<Case>{{0, 2, 48, 4, align_down(base, 12)},
                                                   {0, 2, 40, 4, align_down(base, 4)},
                                                   {0, 2, 39, 0, 0},
                                                   {0, 1, 43, 3, align_down(base, 16)},
                                                   {0, 1, 31, 3, align_down(base, 4)},
                                                   {0, 1, 44, 0, 0},
                                                   {0, 1, 30, 0, 0},
                                                   {0, 0, 34, 2, align_down(base, 16)},
                                                   {0, 0, 25, 2, align_down(base, 7)},
                                                   {0, 0, 35, 0, 0},
                                                   {0, 3, 40, 0, 0},
                                                   {2, 2, 47, 3, align_down(base, 14)},
                                                   {2, 1, 40, 2, align_down(base, 18)},
                                                   {2, 1, 41, 0, 0},
                                                   {2, 3, 48, 0, 0},
                                                   {1, 2, 48, 3, align_down(base, 9)},
                                                   {1, 1, 46, 2, align_down(base, 20)},
                                                   {1, 1, 47, 0, 0},
                                                   {3, 1, 40, 0, 0}}) {
    SCOPED_TRACE(testing::Message() << "S2TG " << c.granule_code << ", S2SL0 " << c.start << ", bits " << c.input_bits);
    std::uint64_t const size = 64 - c.input_bits;
    memory.at(ste + 16) =
        size << 32 | std::uint64_t{c.start} << 38 | std::uint64_t{c.granule_code} << 46 | std::uint64_t{5} << 48 | bit(51);
    auto const found = find();
    ASSERT_EQ(found.has_value(), c.levels != 0) << (found ? "" : found.error().about);
    if (!found) {
      EXPECT_NE(found.error().about.find(", C_BAD_STE"), std::string::npos);
      continue;
    }
    EXPECT_EQ(found->user->format.levels, c.levels);
    EXPECT_EQ(found->user->format.input_bits, c.input_bits);
    EXPECT_EQ(found->user->root, c.root);
  }
}

TEST_F(Smmuv3, RefusesAnIllegalStageTwo) {
  memory.at(ste) = 1 | config(6);
  set_stage2();
  std::uint64_t const word = ste + 16;
  ASSERT_EQ(fault(), "");
  EXPECT_EQ(fault_with(word, 0, bit(51)),
            "STE at 0x100c0 is illegal: S2AA64 = 0 selects VMSAv8-32 tables, which are not supported here, C_BAD_STE");
  EXPECT_NE(fault_with(word, std::uint64_t{11} << 32, std::uint64_t{0x3f} << 32), "");  // S2T0SZ below 64 - 52
  EXPECT_NE(fault_with(word, std::uint64_t{40} << 32, std::uint64_t{0x3f} << 32), "");
  EXPECT_NE(fault_with(word, std::uint64_t{3} << 46), "");  // S2TG reserved
  EXPECT_EQ(fault_with(ste + 24, bit(44)),
            "STE at 0x100c0 is illegal: S2TTB = 0x100000050000 is beyond the 44 bits of S2PS, C_BAD_STE");
  EXPECT_NE(fault_with(ste + 24, bit(3)), "");  // S2DS
  registers.idr0 = 2 | 2 << 2;                  // no stage 2
  EXPECT_EQ(fault(), "STE at 0x100c0 is illegal: Config = 6 asks for stage 2, which IDR0.S2P lacks, C_BAD_STE");
  registers.idr0 = 1 | 2 << 2 | 2 << 21 | 1 << 24;  // no HTTU, little-endian, never stalls, 8-bit VMIDs
  EXPECT_EQ(fault(), "");
  for (unsigned const position : {8u, 15u, 52u, 55u, 56u, 57u}) EXPECT_NE(fault_with(word, bit(position)), "") << position;
  registers.idr0 = 1 | 2 << 2 | 1 << 6 | 2 << 24;  // access flag only, always stalls
  EXPECT_NE(fault(), "");
  EXPECT_EQ(fault_with(word, bit(57) | bit(56)), "");
  EXPECT_NE(fault_with(word, bit(57) | bit(55)), "");
  registers.idr0.reset();
  registers.idr5 = 3 | 1 << 4;  // 42 output bits: S2T0SZ at least 22 (and 40 bits at least, with VMSAv8-32)
  EXPECT_NE(fault(), "");
  registers.idr5 = 4 | 1 << 5;  // no 4 KiB granule
  EXPECT_NE(fault(), "");
  registers.idr5 = 4 | 1 << 4;
  EXPECT_EQ(fault(), "");
}

TEST_F(Smmuv3, ReadsTheCdThroughStageTwo) {
  static constexpr std::uint64_t base = 0x8000000;
  memory.at(ste) = 1 | config(7) | (base + cd_table);
  set_stage2();
  EXPECT_EQ(fault(), "STE at 0x100c0 has its CD behind stage 2, and nothing was given that reads through stage 2");
  open_parent = [](UserPageTable const&, MemoryView const&) { return nullptr; };
  EXPECT_EQ(fault(), "STE at 0x100c0 has its CD behind stage 2, and nothing was given that reads through stage 2");
  open_parent = [this](UserPageTable const& parent, MemoryView const& below) {
    EXPECT_EQ(parent.root, stage2_root);
    EXPECT_EQ(&below, &memory);
    return std::make_unique<ShiftedMemory>(below, base);
  };
  auto const found = find();
  ASSERT_TRUE(found) << found.error().about;
  ASSERT_TRUE(found->user && found->parent);
  EXPECT_EQ(found->user->root, root);
  EXPECT_EQ(found->user->format.format, FormatName::arm_stage1);
  EXPECT_EQ(found->parent->root, stage2_root);
  EXPECT_EQ(found->parent->format.format, FormatName::arm_stage2);
  memory.at(ste) = 1 | config(7) | cd_table;
  EXPECT_EQ(fault(), "CD at 0x20000 cannot be reached, F_CD_FETCH or a stage 2 fault with CLASS = CD");
}

}  // namespace
}  // namespace swiommu::smmuv3
