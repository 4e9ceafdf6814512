// The guests that are spoiled: of each hardware, and of each of its ways to translate.
#pragma once
#include <optional>
#include <span>
#include <string>

#include "made_guests/both_levels.h"
#include "made_guests/s390.h"

namespace swiommu::fuzzing {

// Words that finding a configuration reads at most. A structure of several words is read twice, to see it whole. What lies behind
// the parent's table costs a walk of `levels` there for each word.
namespace most_lookups {
constexpr unsigned through(unsigned words, unsigned levels) { return words * (levels + 1); }
inline constexpr unsigned vtd = 2 * 2 + 2 * 4 + 1 + 2 * 8;             // root, context, PASID directory, PASID table
inline constexpr unsigned smmuv3 = 1 + 2 * 8 + through(1 + 2 * 8, 4);  // STE and CD, each below one more table
inline constexpr unsigned amd = 2 * 4 + through(3, 6);                 // DTE, three levels of GCR3 tables
inline constexpr unsigned riscv = 2 + 2 * 8 + through(2 + 2 * 2, 5);   // DDT of three levels, DC; PDT, PC
inline constexpr unsigned zpci = 0;
}  // namespace most_lookups

struct HostileBase {
  MadeGuest (*make)();
  std::uint32_t device;
  std::optional<std::uint32_t> pasid;
  std::string user_format, parent_format;
  unsigned most_lookups_of_find;

  [[nodiscard]] std::string const& format_of(bool over_parent) const {
    return over_parent || parent_format.empty() ? user_format : parent_format;
  }
};

inline std::span<HostileBase const> hostile_bases() {
  using most_lookups::amd, most_lookups::riscv, most_lookups::smmuv3, most_lookups::vtd, most_lookups::zpci;
  constexpr auto vtd_legacy = [] { return made_vtd_legacy(3); };
  constexpr auto vtd_second = [] { return made_vtd_scalable_second_stage(4); };
  constexpr auto amd_v1_4 = [] { return made_amd_v1(4); };
  constexpr auto amd_v1_6 = [] { return made_amd_v1(6); };
  constexpr auto amd_v2 = [] { return made_amd_v2(5); };
  constexpr auto arm_4k = [] { return made_smmuv3({}); };
  constexpr auto arm_16k = [] { return made_smmuv3({.granule_lg2 = 14, .two_level_stream_table = true}); };
  constexpr auto arm_second = [] {
    return made_smmuv3({.granule_lg2 = 16, .input_bits = 44, .levels = 2, .second_stage = true, .big_endian_tables = true});
  };
  constexpr auto riscv_deep = [] { return made_riscv({.levels = 5, .directory_levels = 3, .extended = true}); };
  constexpr auto riscv_big = [] { return made_riscv({.big_endian = true}); };
  constexpr auto riscv_second = [] { return made_riscv({.levels = 3, .second_stage = true}); };
  constexpr auto segment = [] { return made_s390(2); };
  constexpr auto region_third = [] { return made_s390(3); };
  constexpr auto region_first = [] { return made_s390(5); };
  static HostileBase const all[] = {
      {vtd_legacy, 0x28, {}, "vtd-ss", "", vtd},
      {vtd_second, 0x85, {}, "vtd-ss", "", vtd},
      {made_vtd_first_stage_5_levels, 0x85, {}, "x86-64", "", vtd},
      {made_vtd_nested, 0x85, 0x45, "x86-64", "vtd-ss", vtd},
      {amd_v1_4, 0x28, {}, "amd-v1", "", amd},
      {amd_v1_6, 0x28, {}, "amd-v1", "", amd},
      {amd_v2, 0x28, {}, "x86-64", "", amd},
      {made_amd_nested, 0x28, 0, "x86-64", "amd-v1", amd},
      {arm_4k, 0x28, {}, "arm-s1", "", smmuv3},
      {arm_16k, 0x28, {}, "arm-s1", "", smmuv3},
      {arm_second, 0x28, {}, "arm-s2", "", smmuv3},
      {made_smmuv3_nested, 0x28, 0, "arm-s1", "arm-s2", smmuv3},
      {riscv_deep, 0x12528, {}, "riscv", "", riscv},
      {riscv_big, 0x28, {}, "riscv", "", riscv},
      {riscv_second, 0x28, {}, "riscv-x4", "", riscv},
      {made_riscv_nested, 0x28, 0, "riscv", "riscv-x4", riscv},
      {segment, 0, {}, "s390", "", zpci},
      {region_third, 0, {}, "s390", "", zpci},
      {region_first, 0, {}, "s390", "", zpci},
  };
  return all;
}

}  // namespace swiommu::fuzzing
