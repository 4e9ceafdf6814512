#include "swiommu/hardware/zpci.h"

#include <gtest/gtest.h>

#include <string>

#include "word_memory.h"

namespace swiommu::zpci {
namespace {

class ZpciFunction : public testing::Test {
 protected:
  std::expected<DeviceConfiguration, ConfigurationFault> find(std::optional<std::uint32_t> pasid = {}) {
    auto const function = Function::create(registers, memory);
    EXPECT_TRUE(function);
    return function->find(0, pasid);
  }
  std::string fault() {
    auto const found = find();
    return found ? "" : found.error().about;
  }

  WordMemory memory;
  Registers registers{.iota = 0x2d28804};
};

TEST_F(ZpciFunction, FindsTheTableOfEachDesignation) {
  for (unsigned const type : {0u, 1u, 2u, 3u}) {
    registers.iota = 0x2d28800 | type << 2;
    auto const found = find();
    ASSERT_TRUE(found) << found.error().about;
    EXPECT_EQ(found->kind, DeviceConfiguration::Kind::translate);
    EXPECT_FALSE(found->parent || found->user_upper);
    ASSERT_TRUE(found->user);
    EXPECT_EQ(found->user->root, 0x2d28000u);
    EXPECT_EQ(found->user->format.format, FormatName::s390_zpci);
    EXPECT_EQ(found->user->format.levels, type + 2);
    EXPECT_TRUE(found->user->big_endian);
    EXPECT_EQ(found->aperture, Range::all());
    ASSERT_EQ(found->steps.size(), 1u);
    EXPECT_EQ(found->steps[0].what, "IOTA");
    EXPECT_EQ(found->steps[0].words, std::vector<std::uint64_t>{*registers.iota});
  }
}

TEST_F(ZpciFunction, DoesNotLookAtKeyAndFrameSize) {
  *registers.iota |= 0x1e3;
  auto const found = find();
  ASSERT_TRUE(found) << found.error().about;
  EXPECT_EQ(found->user->root, 0x2d28000u);
}

TEST_F(ZpciFunction, AProtectedAnchorForbidsWriting) {
  EXPECT_EQ(find()->rights, Access::both());
  *registers.iota |= 0x200;
  EXPECT_EQ(find()->rights, Access::reading());
}

TEST_F(ZpciFunction, RefusesDesignationsOfUnknownBehaviour) {
  for (unsigned const type : {4u, 5u, 6u, 7u}) {
    registers.iota = 0x2d28800 | type << 2;
    EXPECT_NE(fault().find("designation type " + std::to_string(type)), std::string::npos);
  }
}

TEST_F(ZpciFunction, RefusesAnOriginBetweenTables) {
  for (std::uint64_t const offset : {0x1000u, 0x2000u, 0x3000u}) {
    registers.iota = 0x2d28804 | offset;
    EXPECT_NE(fault(), "");
  }
  EXPECT_EQ(fault(), "IOTA = 0x2d2b804 has its table at no multiple of 16 KiB");
}

TEST_F(ZpciFunction, BypassesWithoutTranslation) {
  registers = {.iota = 0, .pba = 0x100000000, .pal = 0x1ffffffff, .dma_start = 0x100000000};
  auto const found = find();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  EXPECT_EQ(found->bypass_base, 0x100000000u);
  EXPECT_EQ(found->aperture, (Range{0x100000000, 0x1ffffffff}));
  EXPECT_FALSE(found->user);
}

TEST_F(ZpciFunction, BlocksDmaWithoutAnAnchorOrWithAPasid) {
  EXPECT_FALSE(find(0));
  registers.iota.reset();
  EXPECT_EQ(fault(), "no I/O translation anchor is registered: DMA is blocked");
}

TEST_F(ZpciFunction, TakesTheApertureInPages) {
  registers.pba = 0x100000fff;
  registers.pal = 0x1fffff000;
  EXPECT_EQ(find()->aperture, (Range{0x100000000, 0x1ffffffff}));
  registers.pal.reset();
  EXPECT_EQ(find()->aperture, (Range{0x100000000, ~std::uint64_t{0}}));
  registers.pal = 0x1000;
  auto const function = Function::create(registers, memory);
  ASSERT_FALSE(function);
  EXPECT_EQ(function.error().code, EINVAL);
}

}  // namespace
}  // namespace swiommu::zpci
