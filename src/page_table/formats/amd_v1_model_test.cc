// AMD v1 with frames of 2 KiB, as the model has them that Linux' iommufd selftests run on.
#include <gtest/gtest.h>

#include "page_table/formats/all_formats.h"
#include "page_table/formats/amd_v1.h"

namespace swiommu {
namespace {

constexpr AmdV1 model{FormatConfiguration{.levels = 3, .granule_lg2 = 11}};
constexpr AmdV1 six{FormatConfiguration{.levels = 6, .granule_lg2 = 11}};
constexpr AmdV1 hardware{FormatConfiguration{.levels = 3}};
constexpr Attributes read_write{.access = Access::both()};
constexpr std::uint64_t both = bit(61) | bit(62);

// The field of the address, bits 51:12, counts frames.
static_assert(model.leaf(0x800, 0, 11, read_write) == (0x1001 | both));
static_assert(model.leaf(0x12345800, 0, 11, read_write) == (0x2468b001 | both));
static_assert(model.leaf(0x1000, 0, 12, read_write) == (0x2e01 | both));      // two frames: no one, bit 12 is 0
static_assert(model.leaf(0x100000, 1, 20, read_write) == (0x200001 | both));  // 1 MiB is the own size of level 1
static_assert(model.leaf(0x200000, 1, 21, read_write) == (0x5ffe01 | both));  // bits 20:12 are ones
static_assert(model.table(0x5000, 2) == (0xa401 | both) && model.table_address(model.table(0x5000, 2), 2) == 0x5000);
static_assert(model.geometry().input_bits() == 38 && model.output_bits() == 51);
static_assert(model.geometry().level[1] == LevelShape{.shift = 20, .index_bits = 9});
static_assert(six.geometry().input_bits() == 64 && six.geometry().level[5] == LevelShape{.shift = 56, .index_bits = 8});

TEST(AmdV1Model, WritesEachPowerOfTwoFrom2KiB) {
  EXPECT_EQ(page_sizes(model), bit_span(37, 11));
  EXPECT_EQ(model.leaf_sizes(0), bit_span(19, 11));
  EXPECT_EQ(model.leaf_sizes(1), bit_span(28, 20));
}

TEST(AmdV1Model, LeavesOfAllSizesComeBackFromEveryItemOfTheRun) {
  for (unsigned level = 0; level < 5; level++)
    for (unsigned size = 11; size <= 50; size++) {
      if ((six.leaf_sizes(level) >> size & 1) == 0) continue;
      std::uint64_t const address = bit_span(50, size) & 0x0005'a5a5'a5a5'a800;
      auto const e = six.leaf(address, level, size, read_write);
      ASSERT_EQ(six.kind(e, level), EntryKind::leaf) << level << " " << size;
      EXPECT_EQ(six.leaf_size_lg2(e, level, 0), size);
      EXPECT_EQ(six.leaf_address(e, level, 0), address);
      EXPECT_EQ(six.leaf(address + bit(size) - bit(11 + 9 * level), level, size, read_write), e);
    }
}

TEST(AmdV1Model, IsHardwareThatSeesTwiceTheAddress) {
  for (unsigned level = 0; level < 3; level++)
    for (std::uint64_t const word : {0x5001u, 0x5e01u, 0x7e01u, 0x2ffe01u, 0x5201u, 0x5401u}) {
      EXPECT_EQ(model.kind(word, level), hardware.kind(word, level)) << std::hex << word;
      if (hardware.kind(word, level) != EntryKind::leaf) continue;
      EXPECT_EQ(model.leaf_size_lg2(word, level, 0), hardware.leaf_size_lg2(word, level, 0) - 1);
      EXPECT_EQ(model.leaf_address(word, level, 0), hardware.leaf_address(word, level, 0) / 2);
    }
}

TEST(AmdV1Model, OutputsAre51BitsAtMost) {
  EXPECT_TRUE(AmdV1::check({.granule_lg2 = 11, .output_bits = 51}));
  EXPECT_FALSE(AmdV1::check({.granule_lg2 = 11, .output_bits = 52}));
  for (unsigned granule : {10u, 13u, 14u}) EXPECT_FALSE(AmdV1::check({.granule_lg2 = granule}));
  AmdV1 const narrow(FormatConfiguration{.granule_lg2 = 11, .output_bits = 40});
  EXPECT_EQ(narrow.kind(narrow.leaf(bit(39), 0, 11, read_write), 0), EntryKind::leaf);
  EXPECT_EQ(narrow.reason(narrow.leaf(bit(40), 0, 11, read_write), 0), Reason::address_size);
}

TEST(PageSizes, AreThoseOfTheFormat) {
  auto const accepts = [](FormatConfiguration const& c) {
    return with_format<bool>(c, [](auto const&) -> Result<bool> { return true; });
  };
  EXPECT_TRUE(accepts({.format = FormatName::vtd_second_stage, .page_sizes = bit(12) | bit(30)}));
  auto const refused = accepts({.format = FormatName::vtd_second_stage, .page_sizes = bit(12) | bit(16)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_EQ(refused.error().about, "the format has no pages of 2^16 bytes");
  EXPECT_TRUE(accepts({.format = FormatName::riscv, .page_sizes = bit(16)}));
  EXPECT_FALSE(accepts({.format = FormatName::riscv, .svnapot = false, .page_sizes = bit(16)}));
  EXPECT_FALSE(accepts({.format = FormatName::s390_zpci, .page_sizes = bit(20)}));
}

TEST(PageSizes, ThatAreNotOfferedAreStillUnderstood) {
  FormatConfiguration c{.format = FormatName::vtd_second_stage};
  VtdSecondStage const all(c);
  c.page_sizes = bit(12);
  VtdSecondStage const small(c);
  auto const large = all.leaf(bit(30), 2, 30, read_write);
  EXPECT_EQ(page_sizes(small), bit(12));
  EXPECT_EQ(small.kind(large, 2), EntryKind::leaf);
  EXPECT_EQ(small.leaf_size_lg2(large, 2, 0), 30u);
}

}  // namespace
}  // namespace swiommu
