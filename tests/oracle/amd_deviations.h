// Where QEMU's AMD IOMMU differs from the manual.
#pragma once
#include <algorithm>
#include <bit>
#include <string_view>

#include "oracle/hardware.h"
#include "swiommu/base/bits.h"

namespace swiommu::oracle {

namespace amd_entries {

inline unsigned next_level(std::uint64_t entry) { return static_cast<unsigned>(bit_field(entry, 11, 9)); }
inline bool names_table(WalkStep const& step) {
  unsigned const next = next_level(step.entry);
  return (step.entry & 1) != 0 && next != 0 && next != 7;
}

// Is the size that NextLevel 7 names, by the first zero of the address, one of this level's?
inline bool names_own_size(std::uint64_t entry, unsigned level) {
  auto const size = 13 + static_cast<unsigned>(std::countr_one(bit_field(entry, 51, 12))), own = 12 + 9 * level;
  return size > own && size < own + 9 && size <= 52;
}

// Does the device table entry, or an entry on the way that names a table, lack the right that the DMA needs?
inline bool path_lacks_right(Comparison const& c) {
  std::uint64_t const right = bit(c.probe.write ? 62 : 61);
  return (c.word_of("device table entry") & right) == 0 ||
         std::ranges::any_of(c.steps, [&](WalkStep const& step) { return names_table(step) && (step.entry & right) == 0; });
}

}  // namespace amd_entries

inline constexpr Deviation amd_deviations[] = {
    {.name = "rights of the path",
     .manual =
         "2.2.3: IR and IW of the device table entry and of all entries on the way are combined; QEMU looks at those of the leaf "
         "alone, and where the others leave neither right it takes the entry that it has come to for the leaf",
     .explains = [](Comparison const& c) { return c.fault && amd_entries::path_lacks_right(c); }},
    {.name = "reserved bits of entries",
     .manual = "2.2.3: bits 58:52 of an entry, and 60:59 of one that is no leaf, are reserved; QEMU ignores them",
     .explains =
         [](Comparison const& c) {
           if (!c.fault || c.fault->reason != Reason::malformed) return false;
           unsigned const next = amd_entries::next_level(c.fault->entry);
           return (c.fault->entry & bit_span(next == 0 || next == 7 ? 58 : 60, 52)) != 0;
         }},
    {.name = "levels that are left out",
     .manual = "2.2.3: NextLevel says which level comes next, input bits of those between must be zero, and it must be below the "
               "entry's own; QEMU goes from one level to the next",
     .explains =
         [](Comparison const& c) {
           return std::ranges::any_of(c.steps, [](WalkStep const& step) {
             return amd_entries::names_table(step) && amd_entries::next_level(step.entry) != step.level;
           });
         }},
    {.name = "sizes that are another level's",
     .manual = "2.2.3: NextLevel 7 names sizes between that of the entry's level and that of the next; QEMU takes any",
     .explains =
         [](Comparison const& c) {
           return c.fault && c.fault->reason == Reason::malformed && amd_entries::next_level(c.fault->entry) == 7 &&
                  !amd_entries::names_own_size(c.fault->entry, c.fault->level);
         }},
    {.name = "leaves in the sixth level",
     .manual = "2.2.3: there are none; QEMU takes them",
     .explains =
         [](Comparison const& c) {
           return c.fault && c.fault->reason == Reason::malformed && c.fault->level == 5 &&
                  amd_entries::next_level(c.fault->entry) == 0;
         }},
    {.name = "features that are not there",
     .manual = "2.5.2: HAD and GV without the feature that they need make the device table entry illegal; QEMU ignores them",
     .explains =
         [](Comparison const& c) {
           return c.configuration_fault && (c.configuration_fault->about.find("(HAD") != std::string::npos ||
                                            c.configuration_fault->about.find("(GV = 1)") != std::string::npos);
         }},
    {.name = "seven levels",
     .manual = "2.5.2: Mode = 7 makes the device table entry illegal, which is logged; QEMU blocks the DMA without a word",
     .explains =
         [](Comparison const& c) {
           return c.configuration_fault && c.same_effect() && !c.qemu.fault &&
                  c.configuration_fault->about.find("(Mode = 7)") != std::string::npos;
         }},
    {.name = "reserved bits of invalid entries",
     .manual =
         "2.2.2.1: where V = 0 nothing else in the device table entry counts; QEMU calls it illegal if reserved bits are set",
     .explains =
         [](Comparison const& c) {
           return c.configuration && c.configuration->kind == DeviceConfiguration::Kind::bypass && c.qemu_says(1) &&
                  (c.word_of("device table entry") & 1) == 0;
         }},
};

}  // namespace swiommu::oracle
