#include "swiommu/profile/profile.h"

#include <gtest/gtest.h>

#include <cstring>

#include "profile/register_field.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu {
namespace {

constexpr std::uint32_t dirty = IOMMU_HWPT_ALLOC_DIRTY_TRACKING, parent = IOMMU_HWPT_ALLOC_NEST_PARENT,
                        pasid = IOMMU_HWPT_ALLOC_PASID;

Profile builtin(std::string const& name) { return load_profile(name).value(); }

// Without a profile of that kind, nothing.
std::optional<FormatName> format_for(Profile const& profile, std::uint32_t flags) {
  auto const kind = profile.choose_paging(flags);
  if (kind) return kind->format.format;
  EXPECT_EQ(kind.error().code, EOPNOTSUPP);
  return std::nullopt;
}

template <class Structure>
Structure information_of(Profile const& profile) {
  Structure structure{};
  auto const information = profile.information().value();
  EXPECT_EQ(information.data.size(), sizeof structure);
  std::memcpy(&structure, information.data.data(), std::min(information.data.size(), sizeof structure));
  return structure;
}

TEST(Profile, BuiltinOnesAreSound) {
  auto const all = builtin_profiles();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 7u);
  for (Profile const& profile : *all) {
    auto const contradiction = find_contradiction(profile);
    EXPECT_FALSE(contradiction) << profile.name << ": " << contradiction->about;
    EXPECT_FALSE(profile.description.empty());
    EXPECT_TRUE(profile.choose_paging(0)) << profile.name;
    EXPECT_EQ(profile.registers.size(), register_names(profile.hardware).size());
  }
}

TEST(Profile, IntelUsesTheTableOfPasidsUnlessSomethingElseIsNeeded) {
  Profile const p = builtin("intel-vtd");
  EXPECT_EQ(format_for(p, 0), FormatName::x86_64);
  EXPECT_EQ(format_for(p, pasid), FormatName::x86_64);
  EXPECT_EQ(format_for(p, dirty), FormatName::vtd_second_stage);
  EXPECT_EQ(format_for(p, dirty | pasid), FormatName::vtd_second_stage);
  EXPECT_EQ(format_for(p, parent), FormatName::vtd_second_stage);
  EXPECT_EQ(format_for(p, parent | dirty | pasid), FormatName::vtd_second_stage);
  EXPECT_EQ(format_for(p, 1 << 7), std::nullopt);
  EXPECT_TRUE(p.choose_paging(parent)->writable_only);
  EXPECT_FALSE(p.choose_paging(dirty)->writable_only);
  EXPECT_EQ(p.choose_paging(0)->inputs(), (Range{0, low_bits(47)}));
  EXPECT_EQ(p.choose_paging(dirty)->inputs(), (Range{0, low_bits(48)}));
  EXPECT_EQ(p.choose_paging(0)->shape()->page_sizes, bit(12) | bit(21) | bit(30));
  EXPECT_TRUE(p.choose_paging(dirty)->shape()->tracks_dirty);
  EXPECT_FALSE(p.choose_paging(parent)->shape()->tracks_dirty);
  EXPECT_TRUE(p.makes_nested(IOMMU_HWPT_DATA_VTD_S1));
  EXPECT_EQ(p.max_pasid_lg2(), 20u);
  EXPECT_EQ(p.reserved, (std::vector<ReservedIovas>{{{0xfee00000, 0xfeefffff}, ReservedIovas::Kind::hardware_msi}}));
}

TEST(Profile, ArmParentsHaveNothingBesides) {
  Profile const p = builtin("arm-smmuv3");
  EXPECT_EQ(format_for(p, 0), FormatName::arm_stage1);
  EXPECT_EQ(format_for(p, dirty), FormatName::arm_stage1);
  EXPECT_EQ(format_for(p, pasid), FormatName::arm_stage1);
  EXPECT_EQ(format_for(p, dirty | pasid), FormatName::arm_stage1);
  EXPECT_EQ(format_for(p, parent), FormatName::arm_stage2);
  EXPECT_EQ(format_for(p, parent | dirty), std::nullopt);
  EXPECT_EQ(format_for(p, parent | pasid), std::nullopt);
  EXPECT_EQ(p.choose_paging(parent)->inputs(), (Range{0, low_bits(48)}));
  EXPECT_TRUE(p.choose_paging(dirty)->shape()->tracks_dirty);
  EXPECT_TRUE(p.makes_nested(IOMMU_HWPT_DATA_ARM_SMMUV3));
  EXPECT_TRUE(p.makes_viommus(IOMMU_VIOMMU_TYPE_ARM_SMMUV3));
}

TEST(Profile, AmdHasGuestTablesForPasidsAlone) {
  Profile const p = builtin("amd");
  EXPECT_EQ(format_for(p, 0), FormatName::amd_v1);
  EXPECT_EQ(format_for(p, dirty | parent), FormatName::amd_v1);
  EXPECT_EQ(format_for(p, pasid), FormatName::x86_64);
  EXPECT_EQ(format_for(p, pasid | dirty), std::nullopt);
  EXPECT_EQ(format_for(p, pasid | parent), std::nullopt);
  EXPECT_EQ(p.choose_paging(0)->inputs(), Range::all());
  EXPECT_EQ(p.choose_paging(pasid)->inputs(), (Range{0, low_bits(47)}));
  EXPECT_TRUE(p.makes_nested(IOMMU_HWPT_DATA_AMD_GUEST));
  EXPECT_TRUE(p.makes_viommus(SWIOMMU_VIOMMU_TYPE_AMD));
  EXPECT_EQ(p.max_pasid_lg2(), 15u);  // Linux counts one PASID less than there are
}

TEST(Profile, RiscvAndS390HaveParentsAndNothingElse) {
  for (std::string const name : {"riscv", "s390-zpci"}) {
    Profile const p = builtin(name);
    for (std::uint32_t const flags : {dirty, pasid, parent | dirty}) EXPECT_EQ(format_for(p, flags), std::nullopt) << name;
    EXPECT_TRUE(p.makes_nested(SWIOMMU_HWPT_DATA_RAW)) << name;
    EXPECT_EQ(p.information()->type, std::uint32_t{IOMMU_HW_INFO_TYPE_NONE});
    EXPECT_TRUE(p.information()->data.empty());
  }
  EXPECT_EQ(builtin("riscv").choose_paging(0)->inputs(), (Range{0, low_bits(47)}));
  EXPECT_EQ(builtin("s390-zpci").choose_paging(0)->inputs(), (Range{0, low_bits(42)}));
  EXPECT_EQ(format_for(builtin("riscv"), parent), FormatName::riscv_x4);
  EXPECT_EQ(format_for(builtin("s390-zpci"), parent), FormatName::s390_zpci);
  EXPECT_EQ(builtin("s390-zpci").reserved.at(0).iovas, (Range{0, 0xffffffff}));
}

TEST(Profile, TheModelOfSelftestsIsThatOfLinux) {
  Profile const p = builtin("kernel-selftest");
  for (std::uint32_t flags = 0; flags < 16; flags++)
    EXPECT_EQ(format_for(p, flags).has_value(), (flags & IOMMU_HWPT_FAULT_ID_VALID) == 0) << flags;
  EXPECT_EQ(p.choose_paging(0)->inputs(), (Range{1 << 24, 0x7fffffff}));
  EXPECT_EQ(p.choose_paging(0)->shape()->smallest_page_lg2(), 11u);
  EXPECT_EQ(p.of(PagingUse::huge)->shape()->page_sizes, bit(20) | bit(12));
  EXPECT_EQ(p.of(PagingUse::huge)->inputs(), (Range{0, low_bits(56)}));
  EXPECT_TRUE(p.choose_paging(dirty)->shape()->tracks_dirty);
  auto const information = p.information().value();
  EXPECT_EQ(information.type, 0xfeedbeefu);
  EXPECT_EQ(information.data,
            (std::vector<std::byte>{{}, {}, {}, {}, std::byte{0xef}, std::byte{0xbe}, std::byte{0xad}, std::byte{0xde}}));
  EXPECT_EQ(builtin("kernel-selftest-7.3").choose_paging(0)->shape()->page_sizes, bit(11) | bit(12));
}

TEST(Profile, InformationHoldsTheRegisters) {
  Profile vtd = builtin("intel-vtd");
  auto const shown = information_of<iommu_hw_info_vtd>(vtd);
  EXPECT_EQ(shown.cap_reg, vtd.register_value("cap"));
  EXPECT_EQ(shown.ecap_reg, vtd.register_value("ecap"));
  EXPECT_EQ(shown.flags, 1u);
  Profile arm = builtin("arm-smmuv3");
  ASSERT_TRUE(arm.set_register("idr4", 0x12345678));
  ASSERT_TRUE(arm.set_register("iidr", 0x43b));
  auto const words = information_of<iommu_hw_info_arm_smmuv3>(arm);
  EXPECT_EQ(words.idr[4], 0x12345678u);
  EXPECT_EQ(words.iidr, 0x43bu);
  EXPECT_EQ(words.idr[0], arm.register_value("idr0"));
  auto const amd = information_of<iommu_hw_info_amd>(builtin("amd"));
  EXPECT_EQ(amd.efr2, bit(3));
  EXPECT_FALSE(arm.set_register("idr0", bit(32)));
  EXPECT_FALSE(arm.set_register("cap", 0));
  EXPECT_EQ(arm.register_value("cap"), 0u);
}

TEST(Profile, AllFollowsFromRegisters) {
  Profile p = builtin("intel-vtd");
  // A machine of 2017: no scalable mode.
  ASSERT_TRUE(p.set_register("cap", 0xd2078c106f0466));
  ASSERT_TRUE(p.set_register("ecap", 0xf020df));
  ASSERT_TRUE(p.derive());
  EXPECT_EQ(format_for(p, 0), FormatName::vtd_second_stage);
  EXPECT_EQ(format_for(p, dirty), std::nullopt);
  EXPECT_EQ(format_for(p, parent), std::nullopt);
  EXPECT_EQ(p.choose_paging(0)->format.levels, 4u);
  EXPECT_EQ(p.max_pasids, 0u);
  EXPECT_TRUE(p.nested.empty());
  EXPECT_FALSE(find_contradiction(p));
  // No pages of 1 GiB, and inputs narrower than the table.
  ASSERT_TRUE(p.set_register(
      "cap", vtd_field::address_widths.holding(4) | vtd_field::greatest_width.holding(41) | vtd_field::large_pages.holding(1)));
  ASSERT_TRUE(p.derive());
  EXPECT_EQ(p.choose_paging(0)->shape()->page_sizes, bit(12) | bit(21));
  EXPECT_EQ(p.choose_paging(0)->inputs(), (Range{0, low_bits(42)}));
  EXPECT_FALSE(find_contradiction(p));
}

TEST(Profile, RegistersThatAllowNoTableChangeNothing) {
  auto const all = builtin_profiles().value();
  for (Profile p : all) {
    if (p.hardware == Hardware::kernel_selftest || p.hardware == Hardware::amd) continue;  // always has tables
    for (RegisterName const& each : register_names(p.hardware)) ASSERT_TRUE(p.set_register(each.name, 0));
    Profile const before = p;
    auto const derived = p.derive();
    ASSERT_FALSE(derived) << p.name;
    EXPECT_EQ(derived.error().code, EINVAL);
    EXPECT_EQ(p, before);
  }
}

TEST(Profile, WhateverRegistersSayTheResultIsSoundOrRefused) {
  std::uint64_t state = 1;
  auto const random = [&] { return state = state * 6364136223846793005 + 1442695040888963407, state ^ state >> 29; };
  auto const all = builtin_profiles().value();
  for (Profile p : all)
    for (int n = 0; n < 300; n++) {
      for (RegisterName const& each : register_names(p.hardware)) {
        std::uint64_t const value = n % 2 == 0 ? random() : p.register_value(each.name) ^ bit(random() % 64);
        ASSERT_TRUE(p.set_register(each.name, value & low_bits(each.bits)));
      }
      if (!p.derive()) continue;
      auto const contradiction = find_contradiction(p);
      // tables of 16K and 64K alone are what Linux refuses with 4K pages
      if (contradiction && contradiction->about.find("address spaces need pages of 4K") != std::string::npos) continue;
      EXPECT_FALSE(contradiction) << p.name << ": " << contradiction->about;
      for (std::uint32_t flags = 0; flags < 16; flags++) {
        auto const kind = p.choose_paging(flags);
        if (kind) {
          EXPECT_TRUE(kind->shape()) << p.name << " " << flags;
        }
      }
    }
}

TEST(Profile, SaysWhichFlagsItCannotCombine) {
  auto const refused = builtin("riscv").choose_paging(parent | pasid);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().about, "riscv has no paging domains for IOMMU_HWPT_ALLOC_NEST_PARENT|IOMMU_HWPT_ALLOC_PASID");
  EXPECT_EQ(builtin("riscv").choose_paging(0x30).error().about, "riscv has no paging domains for flags 0x30");
}

}  // namespace
}  // namespace swiommu
