// Where QEMU's VT-d differs from the manual.
#pragma once
#include <algorithm>
#include <string_view>

#include "oracle/hardware.h"
#include "swiommu/base/bits.h"

namespace swiommu::oracle {

inline constexpr Deviation vtd_deviations[] = {
    {.name = "codes of legacy mode in scalable mode",
     .manual = "7.1.3: scalable mode has codes of its own for root and context entries and second-stage tables; QEMU records "
               "those of legacy mode",
     .explains =
         [](Comparison const& c) {
           constexpr struct {
             std::uint32_t legacy, scalable;
           } codes[] = {{0x1, 0x39}, {0x2, 0x41}, {0x3, 0x43}, {0x3, 0x7b}, {0x4, 0x83}, {0x5, 0x85}, {0x6, 0x86},
                        {0x7, 0x78}, {0x8, 0x38}, {0x9, 0x40}, {0xa, 0x3a}, {0xb, 0x42}, {0xc, 0x7a}};
           return c.same_effect() && std::ranges::any_of(codes, [&](auto const& code) {
                    return c.qemu_says(code.legacy) && c.expects(code.scalable);
                  });
         }},
    {.name = "fault recorded in spite of FPD",
     .manual =
         "7.1.3, 9.3 to 9.6: FPD disables the recording of qualified faults, those of the structure that holds it too; QEMU "
         "records reserved bits in context entries, absent PASID directory entries, and absent and bad PASID table entries all "
         "the "
         "same",
     .explains =
         [](Comparison const& c) {
           return c.same_effect() && c.configuration_fault && c.expected && c.expected->empty() &&
                  c.qemu_says({0xb, 0x51, 0x59, 0x5b});
         }},
    {.name = "reserved bits of the root entry's other half",
     .manual =
         "9.2: a scalable-mode root entry has one half for each half of the bus, and a request looks at its own; QEMU looks at "
         "reserved bits of both",
     .explains =
         [](Comparison const& c) {
           return c.qemu_says(0xa) && (c.word_of("scalable-mode root entry", 1) & (bit_span(11, 1) | bit_span(63, 48))) != 0;
         }},
    {.name = "reserved bits behind the context entry",
     .manual = "9.5, 9.6: reserved bits of PASID directory and table entries are faults 52h and 5Ah, and features that the unit "
               "lacks 5Bh; QEMU does not look at them",
     .explains =
         [](Comparison const& c) {
           if (!c.configuration_fault) return false;
           std::string_view const about = c.configuration_fault->about;
           return about.starts_with("PASID") && (about.find("reserved bits") != std::string_view::npos ||
                                                 about.find("does not have") != std::string_view::npos);
         }},
    {.name = "features in the context entry",
     .manual = "9.4: DTE, PASIDE and PRE are reserved where ECAP lacks the feature; QEMU does not look at them",
     .explains =
         [](Comparison const& c) {
           constexpr std::uint64_t features = bit_span(4, 2), all_reserved = bit_span(8, 2) | bit_span(63, 48);
           std::uint64_t const word = c.word_of("scalable-mode context entry");
           return c.configuration_fault && c.configuration_fault->about.starts_with("scalable-mode context entry") &&
                  (word & features) != 0 && (word & all_reserved & ~features) == 0;
         }},
    {.name = "type of an absent PASID table entry",
     .manual = "7.1.3: an entry with P = 0 is 59h whatever else it holds; QEMU looks at PGTT first and records 5Bh",
     .explains = [](Comparison const& c) { return c.same_effect() && c.qemu_says(0x5b) && c.expects(0x59); }},
    {.name = "width of first-stage inputs from AW",
     .manual =
         "9.6: AW is ignored for first-stage translation, whose inputs have 48 bits; QEMU calls an address not canonical by AW",
     .explains =
         [](Comparison const& c) {
           if (!c.configuration || (c.fault && c.fault->reason == Reason::out_of_range)) return false;
           std::uint64_t const entry = c.word_of("PASID table entry"), aw = bit_field(entry, 4, 2);
           std::uint64_t const upper = c.probe.iova >> std::min<std::uint64_t>(29 + 9 * aw, 47);
           bool const canonical = upper == 0 || upper == ~std::uint64_t{0} >> std::min<std::uint64_t>(29 + 9 * aw, 47);
           bool const silenced = ((entry | c.word_of("scalable-mode context entry")) & 2) != 0;  // FPD
           return !canonical && (silenced ? !c.qemu.done && !c.qemu.fault : c.qemu_says(0x80));
         }},
    {.name = "flags on the way to a fault",
     .manual =
         "3.6.2 leaves open whether entries are marked when the walk then faults, or finds no memory; QEMU marks each as it goes",
     .explains_word =
         [](std::uint64_t ours, std::uint64_t qemu, bool used) {
           return !used && (ours & 1) != 0 && (qemu == (ours | bit(5)) || qemu == (ours | bit(5) | bit(6)));
         }},
    {.name = "A or D not set when the other is",
     .manual = "3.6.2: A and D are set independently; QEMU sets neither in a leaf that has one of them",
     .explains_word =
         [](std::uint64_t ours, std::uint64_t qemu, bool) {
           return (ours | bit(5) | bit(6)) == ours && (qemu == (ours & ~bit(5)) || qemu == (ours & ~bit(6)));
         }},
};

}  // namespace swiommu::oracle
