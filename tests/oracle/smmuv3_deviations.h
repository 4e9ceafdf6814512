// The events of the SMMUv3 (IHI 0070, 7.3), and where QEMU differs from the manual.
#pragma once
#include <algorithm>
#include <string_view>

#include "oracle/hardware.h"
#include "swiommu/base/bits.h"

namespace swiommu::oracle {

namespace smmuv3_events {

inline std::vector<std::uint32_t> expected(Comparison const& comparison) {
  if (comparison.configuration_fault) {
    struct {
      std::string_view name;
      std::uint32_t code;
    } constexpr events[] = {{"C_BAD_STREAMID", 2},    {"F_STE_FETCH", 3}, {"C_BAD_STE", 4}, {"F_STREAM_DISABLED", 6},
                            {"C_BAD_SUBSTREAMID", 8}, {"F_CD_FETCH", 9},  {"C_BAD_CD", 0xa}};
    // a CD behind stage 2
    if (comparison.configuration_fault->about.find("stage 2 fault with CLASS = CD") != std::string::npos)
      return {9, 0x10, 0x11, 0x12, 0x13, 0xb};
    for (auto const& event : events)
      if (comparison.configuration_fault->about.find(event.name) != std::string::npos) return {event.code};
    return {};
  }
  if (!comparison.fault) return {};
  bool const nested = comparison.configuration->parent.has_value();
  // R and S2R: whether faults of the tables are recorded. With both stages it depends on which of them faulted.
  bool const by_stage2 =
      !nested && comparison.configuration->user && comparison.configuration->user->format.format == FormatName::arm_stage2;
  std::uint64_t const recorded = by_stage2 ? comparison.word_of("STE", 2) & bit(58) : comparison.word_of("CD") & bit(45);
  if (!nested && recorded == 0) return {};
  std::vector<std::uint32_t> const stage2{0x10, 0x11, 0x12, 0x13, 0xb};
  switch (comparison.fault->reason) {
    case Reason::not_mapped:
    case Reason::out_of_range:
    case Reason::malformed: return {0x10};
    case Reason::address_size: return {0x11};
    case Reason::access_flag: return {0x12};
    case Reason::permission: return {0x13};
    case Reason::table_unreachable: return nested ? stage2 : std::vector<std::uint32_t>{0xb};
    // a fault of stage 2, or no memory at the end
    case Reason::output_unreachable: return nested && !comparison.translation.walk.ok() ? stage2 : std::vector<std::uint32_t>{};
    default: return {};
  }
}

}  // namespace smmuv3_events

// Does a half that has a table have one whose first bytes stage 2 does not reach?
inline bool unreachable_root(Comparison const& comparison) {
  if (!comparison.parent) return false;
  for (unsigned const upper : {0u, 1u}) {
    bool const off = (comparison.word_of("CD") & bit(upper ? 30 : 14)) != 0;
    std::uint64_t const root = comparison.word_of("CD", 1 + upper) & bit_span(51, 4);
    if (!off && !comparison.parent->locate(root, Access::reading())) return true;
  }
  return false;
}

// Does an entry on the way lie elsewhere than behind the place where its table starts, because stage 2 cuts the table in pieces?
inline bool cut_table(Comparison const& comparison) {
  return comparison.parent && std::ranges::any_of(comparison.steps, [&](WalkStep const& step) {
           Chunk const table = comparison.parent->locate(step.table, Access::reading());
           Chunk const entry = comparison.parent->locate(step.entry_address, Access::reading());
           return !table || !entry || table.data + (step.entry_address - step.table) != entry.data;
         });
}

inline constexpr Deviation smmuv3_deviations[] = {
    {.name = "unprivileged access",
     .manual = "5.2, PRIVCFG; Arm ARM, stage 1 data accesses: DMA is unprivileged, so AP[1] = 0 and APTable[0] = 1 forbid it; "
               "QEMU looks "
               "at AP[2] alone",
     .explains =
         [](Comparison const& c) {
           return c.fault && c.fault->reason == Reason::permission && c.fault->depth == 0 && !c.steps.empty() &&
                  ((c.steps.back().entry & bit(6)) == 0 ||
                   std::ranges::any_of(c.steps, [](WalkStep const& step) { return (step.entry & bit(61)) != 0; }));
         }},
    {.name = "order of faults at a leaf",
     .manual =
         "Arm ARM, priority of faults: an output that is too large comes before the access flag and permissions; in QEMU after",
     .explains = [](Comparison const& c) { return c.same_effect() && c.expects(0x11) && c.qemu_says({0x12, 0x13}); }},
    {.name = "APTable before what lies behind",
     .manual =
         "Arm ARM, priority of faults: permission faults come last; QEMU stops at the table whose APTable forbids the access",
     .explains =
         [](Comparison const& c) {
           return c.same_effect() && c.fault && c.qemu_says(0x13) && std::ranges::any_of(c.steps, [](WalkStep const& step) {
                    return step.kind == "table" && (step.entry & bit(62)) != 0;
                  });
         }},
    {.name = "StreamIDs beyond the span",
     .manual =
         "5.1.2, 7.3.3: 2^(Span - 1) STEs, and C_BAD_STREAMID beyond; QEMU takes them for 2^Span, and records C_BAD_STE beyond",
     .explains =
         [](Comparison const& c) {
           return c.configuration_fault && c.configuration_fault->about.find(", and number") != std::string::npos;
         }},
    {.name = "reserved bits of L1STD",
     .manual = "5.1.2: bits 63:52 of the level 1 descriptor are reserved; QEMU takes them for address bits",
     .explains = [](Comparison const& c) { return c.qemu_says(3) && c.word_of("L1STD") >> 52 != 0; }},
    {.name = "S1STALLD without stage 1",
     .manual = "5.2: fields of stage 1 are ignored where it is off; QEMU calls an STE with S1STALLD illegal",
     .explains =
         [](Comparison const& c) {
           return c.qemu_says(4) && bit_field(c.word_of("STE"), 3, 1) == 6 && (c.word_of("STE", 1) & bit(27)) != 0;
         }},
    {.name = "S2HA, S2HD and S2SL0",
     .manual = "5.2: S2HA and S2HD without IDR0.HTTU, and S2SL0 that is too large for S2T0SZ, make the STE illegal; QEMU goes on",
     .explains =
         [](Comparison const& c) {
           if (!c.configuration_fault) return false;
           std::string_view const about = c.configuration_fault->about;
           return about.find("IDR0.HTTU lacks, C_BAD_STE") != std::string_view::npos ||
                  about.find("does not go with S2SL0") != std::string_view::npos;
         }},
    {.name = "S2T0SZ beyond S2PS",
     .manual = "5.2: the inputs of stage 2 are limited by IAS; QEMU calls an STE illegal whose inputs are wider than S2PS",
     .explains =
         [](Comparison const& c) {
           constexpr unsigned output_bits[] = {32, 36, 40, 42, 44, 48, 52, 52};
           std::uint64_t const word = c.word_of("STE", 2);
           return c.qemu_says(4) && bit_field(c.word_of("STE"), 3, 1) >= 6 &&
                  64 - bit_field(word, 37, 32) > output_bits[bit_field(word, 50, 48)];
         }},
    {.name = "S1CDMax",
     .manual = "5.2: S1CDMax is ignored where there are no SubstreamIDs or no stage 1; QEMU calls the STE illegal",
     .explains = [](Comparison const& c) { return c.qemu_says(4) && bit_field(c.word_of("STE"), 63, 59) != 0; }},
    {.name = "roots of both halves",
     .manual = "3.3, 5.4: the table of a half is read when an address of that half is translated; QEMU translates TTB0 and TTB1 "
               "through "
               "stage 2 when it reads the CD, and blocks all if one fails",
     .explains =
         [](Comparison const& c) {
           // which happens before the CD is found illegal
           if (c.configuration_fault)
             return bit_field(c.word_of("STE"), 3, 1) == 7 && c.expects(0xa) && c.qemu_says({0x10, 0x11, 0x12, 0x13, 0xb});
           return !c.qemu.done && unreachable_root(c);
         }},
    {.name = "tables of several pages",
     .manual = "3.3: each fetch of an entry is translated by stage 2; QEMU translates the address of its table",
     .explains = cut_table},
    {.name = "concatenated roots",
     .manual = "Arm ARM, concatenated translation tables: up to 16 roots of stage 2 stand side by side; QEMU reads the first of "
               "them only",
     .explains =
         [](Comparison const& c) {
           if (!c.configuration) return false;
           bool const nested = c.configuration->parent.has_value();
           auto const& stage2 = nested ? c.configuration->parent : c.configuration->user;
           if (!stage2) return false;
           FormatConfiguration const& table = stage2->format;
           unsigned const one_root = table.granule_lg2 + table.levels * (table.granule_lg2 - 3);
           return table.format == FormatName::arm_stage2 && table.input_bits > one_root &&
                  (nested || shift_right(c.probe.iova, one_root) != 0);
         }},
    {.name = "table addresses that are too large",
     .manual = "Arm ARM, address size faults: a table address beyond the output size is one; QEMU looks for the table",
     .explains = [](Comparison const& c) { return c.same_effect() && c.expects(0x11) && c.qemu_says(0xb); }},
    {.name = "bits 15:12 with 64 KiB granules",
     .manual = "Arm ARM, AArch64.LeafBase: whether they are address bits 51:48 is left open where no 52 bits are implemented; "
               "here they "
               "are, in QEMU they are ignored",
     .explains =
         [](Comparison const& c) {
           // a CD that stage 2 tables with such a granule do not lead to
           if (c.configuration_fault)
             return c.configuration_fault->about.find("CLASS = CD") != std::string::npos &&
                    bit_field(c.word_of("STE", 2), 47, 46) == 1;
           return c.fault && c.fault->reason == Reason::address_size && (c.fault->entry & bit_span(15, 12)) != 0;
         }},
    {.name = "inputs beyond S2T0SZ",
     .manual = "5.2, S2R: records all stage 2 faults; QEMU records none for inputs that are out of range",
     .explains =
         [](Comparison const& c) {
           if (!c.same_effect() || c.qemu.fault) return false;
           if (c.configuration_fault)
             return c.configuration_fault->about.find("CLASS = CD") != std::string::npos &&
                    shift_right(c.word_of("STE") & bit_span(55, 6), 64 - unsigned(bit_field(c.word_of("STE", 2), 37, 32))) != 0;
           if (!c.fault) return false;
           if (c.parent) {
             bool const table = c.fault->reason == Reason::table_unreachable && c.fault->depth == 0;
             return table ? shift_right(c.fault->entry_address, c.configuration->parent->format.input_bits) != 0
                          : c.translation.walk.reason == Reason::out_of_range;
           }
           return c.fault->reason == Reason::out_of_range && c.configuration->user->format.format == FormatName::arm_stage2;
         }},
    {.name = "blocks at every level",
     .manual = "Arm ARM, VMSAv8-64: no blocks at level 0, and at level 1 for a granule of 4 KiB only; QEMU takes them anywhere",
     .explains =
         [](Comparison const& c) {
           return c.fault && c.fault->level > 0 && (c.fault->entry & 3) == 1 &&
                  (c.fault->reason == Reason::malformed || c.fault->reason == Reason::not_mapped);
         }},
    {.name = "top byte of upper addresses",
     .manual = "5.4, TBI0 and TBI1: each half has its own; QEMU looks at TBI0 for both",
     .explains =
         [](Comparison const& c) {
           return (c.probe.iova & bit(55)) != 0 && c.probe.iova >> 56 != 0xff && c.configuration &&
                  bit_field(c.word_of("CD"), 38, 38) != bit_field(c.word_of("CD"), 39, 39);
         }},
};

}  // namespace swiommu::oracle
