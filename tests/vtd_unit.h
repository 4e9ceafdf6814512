// A VT-d unit over structures that a test writes.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "swiommu/base/bits.h"
#include "swiommu/hardware/vtd.h"
#include "word_memory.h"

namespace swiommu::vtd {

inline constexpr std::uint64_t root_table = 0x10000, context_table = 0x11000, upper_context_table = 0x12000;
inline constexpr std::uint64_t directory = 0x13000, pasid_table = 0x14000, table = 0x20000, parent_table = 0x30000;
inline constexpr std::uint64_t scalable = 1 << 10;
inline constexpr std::uint32_t device = 0x0128;  // bus 1, device function 0x28

class VtdUnit : public testing::Test {
 protected:
  using Found = std::expected<DeviceConfiguration, ConfigurationFault>;

  Found find(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const unit = Unit::create(registers, memory);
    EXPECT_TRUE(unit);
    return unit->find(id, pasid);
  }
  // The text of the fault; empty if there is none.
  std::string fault(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = device) {
    auto const found = find(pasid, id);
    return found ? "" : found.error().about;
  }

  WordMemory memory;
  Registers registers{.root_table_address = root_table};
};

}  // namespace swiommu::vtd
