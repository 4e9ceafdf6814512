#include <gtest/gtest.h>

#include "profile/register_field.h"
#include "swiommu/profile/load_profile.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu {
namespace {

// "key: what is wrong" of the builtin profile after a change.
std::string found(std::string const& name, void (*change)(Profile&)) {
  Profile profile = load_profile(name).value();
  change(profile);
  auto const contradiction = find_contradiction(profile);
  return contradiction ? contradiction->keys.front() + ": " + contradiction->about : "nothing";
}

void clear(Profile& p, char const* name, RegisterField field) {
  ASSERT_TRUE(p.set_register(name, p.register_value(name) & ~field.holding(field.of(~std::uint64_t{0}))));
}

TEST(Contradiction, AKindMustBeAFormatThatExists) {
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.of(PagingUse::usual)->format.levels = 3; }),
            "paging.usual.levels: x86-64 tables have 4 or 5 levels");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.of(PagingUse::usual)->format.page_sizes = bit(16); }),
            "paging.usual.levels: the format has no pages of 2^16 bytes");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.of(PagingUse::usual)->format.page_sizes = bit(21); }),
            "paging.usual.page_sizes: the smallest page has 2M; address spaces need pages of 4K, or smaller ones");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.of(PagingUse::usual)->aperture = Range{0, bit(47)}; }),
            "paging.usual.aperture: the aperture [0x0, 0x800000000000] is not within the table's inputs [0x0, 0x7fffffffffff]");
  EXPECT_EQ(found("riscv", [](auto& p) { p.of(PagingUse::usual).reset(); }),
            "paging.usual: there must be a usual kind of paging domain");
}

TEST(Contradiction, WhatIsOfferedMustBeSomewhere) {
  EXPECT_EQ(found("riscv", [](auto& p) { p.dirty_tracking = true; }),
            "dirty_tracking: dirty tracking needs a kind of paging domain that has it");
  EXPECT_EQ(found("s390-zpci", [](auto& p) { p.of(PagingUse::dirty_tracking) = p.of(PagingUse::usual); }),
            "paging.dirty_tracking.with: a table of this format keeps no dirty flags");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.of(PagingUse::nesting_parent).reset(); }),
            "nested: there are nested domains, but no paging domain that can be their parent");
  EXPECT_EQ(found("riscv",
                  [](auto& p) {
                    p.nested.clear();
                    p.of(PagingUse::nesting_parent).reset();
                  }),
            "viommus: there are virtual IOMMUs, but no paging domain that can be their parent");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.nested = {IOMMU_HWPT_DATA_ARM_SMMUV3}; }),
            "nested: intel-vtd has no nested domains of this type");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.viommus = {IOMMU_VIOMMU_TYPE_ARM_SMMUV3}; }),
            "viommus: intel-vtd has no virtual IOMMUs of this type");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { p.viommus.clear(); }),
            "viommus: nested domains of arm-smmuv3 are made on a virtual IOMMU, and there is none");
  EXPECT_EQ(found("amd", [](auto& p) { p.of(PagingUse::huge) = p.of(PagingUse::usual); }),
            "paging.huge: only kernel-selftest can be asked for this kind");
  EXPECT_EQ(found("amd", [](auto& p) { p.of(PagingUse::pasid)->with = IOMMU_HWPT_ALLOC_PASID; }),
            "paging.pasid.with: IOMMU_HWPT_ALLOC_PASID is what this kind is for");
}

TEST(Contradiction, ReservedRangesFitEachOther) {
  using Kind = ReservedIovas::Kind;
  EXPECT_EQ(found("riscv", [](auto& p) { p.reserved = {{{5, 4}, Kind::reserved}}; }),
            "reserved: a reserved range ends before it starts");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { p.reserved.push_back(p.reserved[0]); }),
            "reserved: there can be only one range for software MSIs");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { p.reserved.push_back({{0, 4095}, Kind::hardware_msi}); }),
            "reserved: MSIs are either the hardware's or the software's");
}

TEST(Contradiction, IntelRegistersMustHaveWhatIsClaimed) {
  using namespace vtd_field;
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "ecap", nested); }),
            "registers.ecap: ecap lacks NEST (bit 26), which nested domains need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "ecap", parent_flags); }),
            "registers.ecap: ecap lacks SSADS (bit 45), which dirty flags need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "ecap", user_tables); }),
            "registers.ecap: ecap lacks FSTS (bit 47), which x86-64 tables need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "cap", address_widths); }),
            "registers.cap: cap lacks SAGAW (0x4 in bits 12:8), which VT-d second-stage tables of 4 levels need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "cap", user_1g_pages); }),
            "registers.cap: cap lacks FS1GP (bit 56), which 1G pages in x86-64 tables need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "cap", user_5_levels), p.of(PagingUse::usual)->format.levels = 5; }),
            "registers.cap: cap lacks FS5LP (bit 60), which x86-64 tables of 5 levels need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "cap", large_pages); }),
            "registers.cap: cap lacks SSLPS (0x1 in bits 37:34), which 2M pages need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "cap", greatest_width); }),
            "registers.cap: cap allows iovas up to 0x1 (MGAW), and paging.dirty_tracking takes them up to 0xffffffffffff");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "ecap", pasid_size); }),
            "registers.ecap: ecap allows 2 PASIDs (PSS), and max_pasids is 1048576");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { clear(p, "ecap", snoop_control); }),
            "registers.ecap: ecap lacks SC (bit 7), which domains that enforce coherency need");
  EXPECT_EQ(found("intel-vtd", [](auto& p) { p.of(PagingUse::usual)->format = {.format = FormatName::amd_v1}; }),
            "paging.usual.format: intel-vtd has tables of vtd-second-stage and x86-64");
}

TEST(Contradiction, ArmRegistersMustHaveWhatIsClaimed) {
  using namespace smmuv3_field;
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { clear(p, "idr0", user_tables); }),
            "registers.idr0: idr0 lacks S1P (bit 1), which arm-lpae-s1 tables need");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { clear(p, "idr0", flag_updates); }),
            "registers.idr0: idr0 lacks HTTU (0x2 in bits 7:6), which dirty flags need");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { clear(p, "idr5", granule_4k); }),
            "registers.idr5: idr5 lacks GRAN4K (bit 4), which 4K granules need");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { clear(p, "idr5", output_size); }),
            "registers.idr5: idr5 allows outputs of 32 bits (OAS), and paging.usual has 48");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { clear(p, "idr1", pasid_bits); }),
            "registers.idr1: idr1 allows 0 PASIDs (SSIDSIZE), and max_pasids is 1048576");
  EXPECT_EQ(found("arm-smmuv3", [](auto& p) { clear(p, "idr0", page_requests); }),
            "registers.idr0: idr0 lacks PRI (bit 16), which page requests need");
}

TEST(Contradiction, AmdRegistersMustHaveWhatIsClaimed) {
  using namespace amd_field;
  EXPECT_EQ(found("amd", [](auto& p) { clear(p, "efr", parent_levels); }),
            "registers.efr: efr allows 4 levels (HATS), and paging.usual has 6");
  EXPECT_EQ(found("amd", [](auto& p) { p.of(PagingUse::pasid)->format.levels = 5; }),
            "registers.efr: efr allows 4 levels (GATS), and paging.pasid has 5");
  EXPECT_EQ(found("amd", [](auto& p) { clear(p, "efr", parent_dirty); }),
            "registers.efr: efr lacks HDSup (bit 52), which dirty flags need");
  EXPECT_EQ(found("amd", [](auto& p) { clear(p, "efr2", guest_directory_address); }),
            "registers.efr2: efr2 lacks GCR3TRPMode (bit 3), which nesting parents need");
  EXPECT_EQ(found("amd", [](auto& p) { p.of(PagingUse::usual)->format.granule_lg2 = 11; }),
            "paging.usual.format: amd has tables of amd-v1, with 4K granules, and x86-64");
}

}  // namespace
}  // namespace swiommu
