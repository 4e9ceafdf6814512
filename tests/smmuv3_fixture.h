// One stream of an SMMUv3 in memory, to be broken by tests.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "shifted_memory.h"
#include "swiommu/base/bits.h"
#include "swiommu/hardware/smmuv3.h"
#include "word_memory.h"

namespace swiommu::smmuv3 {

inline constexpr std::uint64_t stream_table = 0x10000, second_level = 0x14000, cd_table = 0x20000, cd_leaf = 0x30000,
                               root = 0x40000;
inline constexpr std::uint64_t stage2_root = 0x50000;
inline constexpr std::uint32_t stream = 3;
inline constexpr std::uint64_t mair = 0xff44ff0404ff4404;

class Smmuv3 : public testing::Test {
 protected:
  using Found = std::expected<DeviceConfiguration, ConfigurationFault>;

  Smmuv3() {
    memory.set(ste, {1 | config(5) | cd_table, 0, 0, 0, 0, 0, 0, 0});
    set_cd(cd_table, 16);
  }

  static constexpr std::uint64_t config(unsigned value) { return std::uint64_t{value} << 1; }
  // V, AA64, IPS = 48 bits, A, R, EPD1, one table of 64 - t0sz bits with 4 KiB granule
  void set_cd(std::uint64_t at, unsigned t0sz) {
    memory.set(at, {t0sz | bit(30) | bit(31) | std::uint64_t{5} << 32 | bit(41) | bit(45) | bit(46), root, 0, mair, 0, 0, 0, 0});
  }
  // S2T0SZ = 20 (44 bits), S2SL0 = 2, 4 KiB, S2PS = 44 bits, S2AA64
  void set_stage2() {
    memory.at(ste + 16) = std::uint64_t{20} << 32 | std::uint64_t{2} << 38 | std::uint64_t{4} << 48 | bit(51);
    memory.at(ste + 24) = stage2_root;
  }

  Found find(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = stream) {
    auto const unit = Unit::create(registers, memory, open_parent);
    EXPECT_TRUE(unit);
    return unit->find(id, pasid);
  }
  // The text of the fault; empty if there is none.
  std::string fault(std::optional<std::uint32_t> pasid = {}, std::uint32_t id = stream) {
    auto const found = find(pasid, id);
    return found ? "" : found.error().about;
  }
  // The text of the fault with the bits of `set` set and those of `clear` cleared in the word at `address`.
  std::string fault_with(std::uint64_t address, std::uint64_t set, std::uint64_t clear = 0) {
    std::uint64_t const old = memory.at(address);
    memory.at(address) = (old & ~clear) | set;
    std::string text = fault();
    memory.at(address) = old;
    return text;
  }

  static constexpr std::uint64_t ste = stream_table + 64 * stream;
  WordMemory memory;
  Registers registers{.strtab_base = stream_table | bit(62), .strtab_base_cfg = 4};
  ParentOpener open_parent;
};

}  // namespace swiommu::smmuv3
