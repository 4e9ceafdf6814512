// Where QEMU's RISC-V IOMMU differs from the manuals. Sections are those of the IOMMU specification.
#pragma once
#include <algorithm>
#include <iterator>
#include <string_view>

#include "oracle/hardware.h"
#include "swiommu/base/bits.h"

namespace swiommu::oracle {

namespace riscv_entries {

inline constexpr std::uint64_t valid = bit(0), user = bit(4), accessed = bit(6), dirty = bit(7), rights = bit_span(3, 1);

inline bool is_pointer(WalkStep const& step) { return (step.entry & valid) != 0 && (step.entry & rights) == 0; }

// Is the entry at which our side stops, of whichever stage, one of these?
template <class Predicate>
bool stops_at(Comparison const& c, Predicate predicate) {
  auto const* const steps = c.steps_under.empty() ? &c.steps : &c.steps_under;
  for (auto const* const all : {&c.steps, steps})
    if (!all->empty() && all->back().reached && predicate(all->back())) return true;
  return false;
}

inline bool says(Comparison const& c, std::string_view structure, std::string_view text) {
  if (!c.configuration_fault) return false;
  std::string_view const about = c.configuration_fault->about;
  return about.starts_with(structure) && about.find(text) != std::string_view::npos;
}

// Reserved bits of device and process contexts that are set; RCID and MCID, bits 63:40 of ta, are reserved without QOSID.
inline bool reserved_in_context(Comparison const& c) {
  constexpr std::uint64_t pointer = bit_span(59, 44);
  constexpr std::uint64_t dc[] = {bit_span(23, 12) | bit_span(63, 32),
                                  0,
                                  bit_span(11, 0) | bit_span(63, 32),
                                  pointer,
                                  pointer,
                                  bit_span(63, 52),
                                  bit_span(63, 52),
                                  ~std::uint64_t{0}};
  constexpr std::uint64_t pc[] = {bit_span(11, 3) | bit_span(63, 32), pointer};
  for (std::size_t n = 0; n < std::size(dc); n++)
    if ((c.word_of("DC", n) & dc[n]) != 0) return true;
  return (c.word_of("PC", 0) & pc[0]) != 0 || (c.word_of("PC", 1) & pc[1]) != 0;
}

// Does QEMU report this, or nothing because DTF says so?
inline bool reports(Comparison const& c, std::uint32_t cause) {
  return c.qemu_says(cause) || ((c.word_of("DC") & bit(4)) != 0 && !c.qemu.fault && !c.qemu.done);
}

}  // namespace riscv_entries

inline constexpr Deviation riscv_deviations[] = {
    {.name = "reserved bits of contexts",
     .manual =
         "2.1.3, 2.2.3: reserved bits of device and process contexts that are set are faults 259 and 267; QEMU looks at none",
     .explains =
         [](Comparison const& c) {
           return (riscv_entries::says(c, "DC", "reserved bits") || riscv_entries::says(c, "PC", "reserved bits")) &&
                  riscv_entries::reserved_in_context(c);
         }},
    {.name = "reserved bits of entries",
     .manual =
         "Privileged ISA, \"Sv39\": bits 63:54 of an entry are reserved without Svnapot and Svpbmt, page fault; QEMU takes them "
         "for address bits",
     .explains =
         [](Comparison const& c) {
           return c.fault &&
                  riscv_entries::stops_at(c, [](WalkStep const& step) { return (step.entry & 1) != 0 && step.entry >> 54 != 0; });
         }},
    {.name = "A, D and U of pointers",
     .manual = "Privileged ISA, \"Sv32\": A, D and U are reserved in entries that are no leaf, page fault; QEMU ignores them",
     .explains =
         [](Comparison const& c) {
           using namespace riscv_entries;
           return c.fault && stops_at(c, [](WalkStep const& step) {
                    return is_pointer(step) && (step.entry & (accessed | dirty | user)) != 0;
                  });
         }},
    {.name = "GADE and SADE",
     .manual = "2.1.3: without AMO_HWAD they are fault 259; QEMU does not look at them",
     .explains = [](Comparison const& c) { return riscv_entries::says(c, "DC", "tc.GADE or tc.SADE"); }},
    {.name = "reserved pdtp.MODE",
     .manual = "2.1.3: fault 259; QEMU finds out when it looks for a process, fault 267, and not at all if there is none",
     .explains =
         [](Comparison const& c) {
           return riscv_entries::says(c, "DC", "is no process directory") &&
                  ((c.word_of("DC") & bit(9)) == 0 || riscv_entries::reports(c, 267));
         }},
    {.name = "reserved iosatp.MODE",
     .manual = "2.1.3: fault 259; QEMU says 258, that the device context is not valid",
     .explains =
         [](Comparison const& c) { return riscv_entries::says(c, "DC", "is no first-stage scheme") && c.qemu_says(258); }},
    {.name = "32-bit tables",
     .manual = "2.1.3, SXL: first-stage tables are Sv32; QEMU has them, libswiommu does not, and says so",
     .explains = [](Comparison const& c) { return riscv_entries::says(c, "", "not supported here"); }},
    {.name = "reserved iohgatp.MODE with a process directory",
     .manual = "2.1.3: iohgatp.MODE that is reserved is fault 259; QEMU finds out when it reads the process directory, fault 265",
     .explains =
         [](Comparison const& c) {
           return riscv_entries::says(c, "DC", "iohgatp.MODE") && c.same_effect() && (c.word_of("DC") & bit(5)) != 0 &&
                  riscv_entries::reports(c, 265);
         }},
    {.name = "process directories behind the second stage",
     .manual = "2.2, 3.3: they are read as any guest memory is; QEMU takes addresses and V from the second stage, but not "
               "rights, U and A",
     .explains =
         [](Comparison const& c) {
           return (riscv_entries::says(c, "PC", "cannot be reached") || riscv_entries::says(c, "PDT", "cannot be reached")) &&
                  bit_field(c.word_of("DC", 1), 63, 60) != 0 && !c.qemu_says(265);
         }},
    {.name = "implicit accesses",
     .manual =
         "Privileged ISA, \"Two-Stage Address Translation\": reading an entry of the first stage is a read for the second stage, "
         "whatever the DMA is; in QEMU it needs the right that the DMA needs",
     .explains =
         [](Comparison const& c) {
           return c.parent && c.probe.write && riscv_entries::reports(c, 23) &&
                  std::ranges::any_of(c.steps, [&](WalkStep const& step) {
                    return step.reached && !c.parent->locate(step.entry_address, Access::writing());
                  });
         }},
    {.name = "root before the input's range",
     .manual = "Privileged ISA, \"Sv39\": an input that is not sign-extended is a page fault before anything is read; QEMU first "
               "looks for "
               "the root behind the second stage",
     .explains =
         [](Comparison const& c) {
           return c.parent && c.same_effect() && c.fault && c.fault->depth == 0 && c.fault->reason == Reason::out_of_range &&
                  !c.parent->locate(c.configuration->user->root, c.probe.access());
         }},
};

}  // namespace swiommu::oracle
