// The formats and configurations that user page tables and parents are tried in.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "page_table/formats/all_formats.h"
#include "page_table/table_stash.h"

namespace swiommu::nesting {

struct FormatCase {
  std::string name;
  FormatConfiguration format;
  bool big_endian = false;

  // Rights that a leaf asked for with `asked` has: most formats cannot forbid reading what can be written, s390 never can.
  [[nodiscard]] Access rights(Access asked) const {
    switch (format.format) {
      case FormatName::vtd_second_stage:
      case FormatName::amd_v1:
      case FormatName::arm_stage2: return asked;
      case FormatName::s390_zpci: return {true, asked.write};
      default: return {asked.read || asked.write, asked.write};
    }
  }
};

inline void PrintTo(FormatCase const& c, std::ostream* out) { *out << c.name; }

inline std::vector<FormatCase> user_formats() {
  using enum FormatName;
  return {
      {"VtdThreeLevels", {.format = vtd_second_stage, .levels = 3}},
      {"VtdFlags", {.format = vtd_second_stage, .levels = 4, .accessed_updates = true, .dirty_updates = true}},
      {"VtdFiveLevels", {.format = vtd_second_stage, .levels = 5}},
      {"X86", {.format = x86_64, .levels = 4}},
      {"X86FiveLevelsFlags", {.format = x86_64, .levels = 5, .accessed_updates = true, .dirty_updates = true}},
      {"X86ZeroExtended", {.format = x86_64, .levels = 4, .zero_extended = true}},
      {"AmdOneLevel", {.format = amd_v1, .levels = 1}},
      {"AmdThreeLevels", {.format = amd_v1, .levels = 3}},
      {"AmdFlags", {.format = amd_v1, .levels = 4, .accessed_updates = true, .dirty_updates = true}},
      {"AmdSixLevels", {.format = amd_v1, .levels = 6}},
      {"ArmStage1", {.format = arm_stage1, .granule_lg2 = 12, .input_bits = 48}},
      {"ArmStage1Upper", {.format = arm_stage1, .granule_lg2 = 12, .input_bits = 39, .upper_half = true}},
      {"ArmStage1Tagged", {.format = arm_stage1, .granule_lg2 = 12, .input_bits = 39, .top_byte_ignored = true}},
      {"ArmStage1TaggedUpper",
       {.format = arm_stage1, .granule_lg2 = 12, .input_bits = 48, .upper_half = true, .top_byte_ignored = true}},
      {"ArmStage1Granule16", {.format = arm_stage1, .granule_lg2 = 14, .input_bits = 47}},
      {"ArmStage1Granule64", {.format = arm_stage1, .granule_lg2 = 16, .input_bits = 42}},
      {"ArmStage1BigEndian", {.format = arm_stage1, .granule_lg2 = 12, .input_bits = 32}, true},
      {"ArmStage1Flags",
       {.format = arm_stage1, .granule_lg2 = 12, .input_bits = 48, .accessed_updates = true, .dirty_updates = true}},
      {"ArmStage2", {.format = arm_stage2, .granule_lg2 = 12, .input_bits = 40}},
      {"ArmStage2Flags",
       {.format = arm_stage2, .granule_lg2 = 12, .input_bits = 42, .accessed_updates = true, .dirty_updates = true}},
      {"ArmStage2Granule16", {.format = arm_stage2, .granule_lg2 = 14, .input_bits = 40}},
      {"Riscv39", {.format = riscv, .levels = 3}},
      {"Riscv48Flags", {.format = riscv, .levels = 4, .accessed_updates = true, .dirty_updates = true}},
      {"Riscv57BigEndian", {.format = riscv, .levels = 5}, true},
      {"Riscv39NoRuns", {.format = riscv, .levels = 3, .svnapot = false}},
      {"Riscv41x4", {.format = riscv_x4, .levels = 3}},
      {"S390Segment", {.format = s390_zpci, .levels = 2}, true},
      {"S390RegionThird", {.format = s390_zpci, .levels = 3}, true},
      {"S390RegionFirst", {.format = s390_zpci, .levels = 5}, true},
  };
}

inline std::vector<FormatCase> parent_formats() {
  using enum FormatName;
  return {
      {"vtd_second_stage", {.format = vtd_second_stage, .levels = 4}},
      {"vtd_second_stage with flags", {.format = vtd_second_stage, .levels = 3, .accessed_updates = true, .dirty_updates = true}},
      {"amd_v1", {.format = amd_v1, .levels = 4}},
      {"amd_v1 with flags", {.format = amd_v1, .levels = 6, .accessed_updates = true, .dirty_updates = true}},
      {"arm_stage2", {.format = arm_stage2, .granule_lg2 = 12, .input_bits = 40}},
      {"arm_stage2 of 64 KiB", {.format = arm_stage2, .granule_lg2 = 16, .input_bits = 42}},
      {"riscv_x4", {.format = riscv_x4, .levels = 3}},
      {"riscv_x4 with flags", {.format = riscv_x4, .levels = 4, .accessed_updates = true, .dirty_updates = true}},
  };
}

// What the owner of a table knows of its format: how to write single words.
struct Words {
  Geometry geometry;
  std::function<std::uint64_t(unsigned level)> empty;
  std::function<EntryKind(std::uint64_t entry, unsigned level)> kind;
  std::function<std::uint64_t(std::uint64_t address, unsigned level)> table;
  std::function<std::uint64_t(std::uint64_t output, unsigned level, unsigned size_lg2, Access access)> leaf;
  std::function<std::uint64_t(unsigned level)> leaf_sizes;
  unsigned root_size_lg2 = 0;
};

inline Words words_of(FormatConfiguration const& configuration) {
  return *with_format<Words>(configuration, [](auto const& f) -> Result<Words> {
    Words words;
    words.geometry = f.geometry();
    words.empty = [f](unsigned level) { return f.empty(level); };
    words.kind = [f](std::uint64_t e, unsigned level) { return f.kind(e, level); };
    words.table = [f](std::uint64_t address, unsigned level) { return f.table(address, level); };
    words.leaf = [f](std::uint64_t output, unsigned level, unsigned size_lg2, Access access) {
      return f.leaf(output, level, size_lg2, {.access = access});
    };
    words.leaf_sizes = [f](unsigned level) { return f.leaf_sizes(level); };
    words.root_size_lg2 = table_size_lg2(f, f.geometry().top());
    return words;
  });
}

}  // namespace swiommu::nesting
