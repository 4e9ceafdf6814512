// The formats that the conformance suite is run over, and their configurations. A new format is one entry here.
#pragma once
#include <vector>

#include "conformance/toy_format.h"
#include "page_table/formats/amd_v1.h"
#include "page_table/formats/arm_lpae.h"
#include "page_table/formats/riscv.h"
#include "page_table/formats/s390_zpci.h"
#include "page_table/formats/vtd_second_stage.h"
#include "page_table/formats/x86_64.h"

namespace swiommu::conformance {

using Configurations = std::vector<FormatConfiguration>;

// Which attributes come back as they were given. All formats can express readable and writable, and read-only.
struct Expresses {
  bool write_only = false;  // without it, what can be written can be read
  bool memory = false;
  bool coherent = false;
  bool born_accessed = false;  // a new leaf has its accessed flag set already, though the table tracks it

  [[nodiscard]] Attributes operator()(Attributes a) const {
    return {.access = {a.access.read || (!write_only && a.access.write), a.access.write},
            .memory = memory ? a.memory : MemoryType::normal,
            .coherent = coherent && a.coherent};
  }
};

inline Configurations levels(FormatName format, unsigned first, unsigned last) {
  Configurations all;
  for (unsigned n = first; n <= last; n++) all.push_back({.format = format, .levels = n});
  return all;
}

// Each configuration as it is, and the first also with accessed and dirty flags.
inline Configurations with_flags(Configurations all) {
  FormatConfiguration flags = all.front();
  flags.accessed_updates = true;
  all.push_back(flags);
  flags.dirty_updates = true;
  all.push_back(flags);
  return all;
}

// Each configuration, and the first changed by each of `changes`.
template <class... Changes>
Configurations with(Configurations all, Changes... changes) {
  FormatConfiguration const first = all.front();
  auto const add = [&](auto change) {
    all.push_back(first);
    change(all.back());
  };
  (add(changes), ...);
  return all;
}

inline Configurations arm(FormatName format) {
  bool const roots = format == FormatName::arm_stage2;  // may be concatenated
  Configurations all;
  for (FormatConfiguration c : {FormatConfiguration{.granule_lg2 = 12, .input_bits = 48},
                                {.granule_lg2 = 12, .input_bits = 39},
                                {.granule_lg2 = 12, .input_bits = roots ? 42u : 33u},  // 8 roots
                                {.granule_lg2 = 12, .input_bits = 32},                 // a root of 4 items, or 4 roots
                                {.granule_lg2 = 14, .input_bits = roots ? 40u : 47u},  // 16 roots
                                {.granule_lg2 = 14, .input_bits = 36},                 // a root of 2^11 or 2^0 tables' items
                                {.granule_lg2 = 16, .input_bits = 42},
                                {.granule_lg2 = 16, .input_bits = 52, .output_bits = 52}}) {
    c.format = format;
    all.push_back(c);
    if (c.granule_lg2 == 12 && c.input_bits != 48) continue;
    c.accessed_updates = c.dirty_updates = true;
    all.push_back(c);
  }
  return all;
}

// Only leaves of these sizes.
inline auto offering(std::uint64_t page_sizes) {
  return [page_sizes](FormatConfiguration& c) { c.page_sizes = page_sizes; };
}

// Those of the hardware, and those of the model of Linux' selftests, which has pages of 2 KiB.
inline Configurations amd() {
  Configurations all = with_flags(levels(FormatName::amd_v1, 1, 6));
  for (FormatConfiguration const& model : {FormatConfiguration{.levels = 3},
                                           {.levels = 3, .accessed_updates = true, .dirty_updates = true},
                                           {.levels = 6},
                                           {.levels = 5, .dirty_updates = true, .page_sizes = bit(20) | bit(12)}}) {
    all.push_back(model);
    all.back().format = FormatName::amd_v1;
    all.back().granule_lg2 = 11;
  }
  all.push_back({.format = FormatName::amd_v1, .page_sizes = bit(12) | bit(16) | bit(21) | bit(22)});
  return all;
}

// Calls `visit.operator()<F>(name, expresses, configurations)` for each format.
template <class Visit>
void for_each_format(Visit visit) {
  visit.template operator()<ToyFormat>("Toy", Expresses{.write_only = true}, Configurations{{}});
  visit.template operator()<VtdSecondStage>(
      "VtdSecondStage", Expresses{.write_only = true, .coherent = true},
      with(with_flags(levels(FormatName::vtd_second_stage, 3, 5)), offering(bit(12) | bit(21)), offering(bit(21))));
  visit.template operator()<X86_64>(
      "X86_64", Expresses{.memory = true, .born_accessed = true},
      with(with_flags(levels(FormatName::x86_64, 4, 5)), [](auto& c) { c.zero_extended = true; }, offering(bit(12))));
  visit.template operator()<AmdV1>("AmdV1", Expresses{.write_only = true, .coherent = true}, amd());
  visit.template operator()<ArmStage1>("ArmStage1", Expresses{.memory = true},
                                       with(
                                           arm(FormatName::arm_stage1), [](auto& c) { c.upper_half = true; },
                                           [](auto& c) { c.top_byte_ignored = true; }, offering(bit(12) | bit(21) | bit(30))));
  visit.template operator()<ArmStage2>("ArmStage2", Expresses{.write_only = true, .memory = true}, arm(FormatName::arm_stage2));
  visit.template operator()<Riscv>("Riscv", Expresses{.memory = true},
                                   with(with_flags(levels(FormatName::riscv, 3, 5)), [](auto& c) { c.svnapot = false; }));
  visit.template operator()<RiscvX4>("RiscvX4", Expresses{.memory = true},
                                     with(with_flags(levels(FormatName::riscv_x4, 3, 5)), [](auto& c) { c.svnapot = false; }));
  visit.template operator()<S390Zpci>("S390Zpci", Expresses{}, levels(FormatName::s390_zpci, 2, 5));
}

}  // namespace swiommu::conformance
