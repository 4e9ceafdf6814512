// The causes that a RISC-V IOMMU reports ("RISC-V IOMMU Architecture Specification", 4.2, "Fault record CAUSE field encodings")
// for what our side says.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "oracle/hardware.h"
#include "swiommu/base/bits.h"

namespace swiommu::oracle::riscv_faults {

using Causes = std::vector<std::uint32_t>;

// A read, or a write, that faults: access fault, page fault, guest page fault.
inline std::uint32_t access_fault(Comparison const& comparison) { return comparison.probe.write ? 7 : 5; }
inline std::uint32_t page_fault(Comparison const& comparison) { return comparison.probe.write ? 15 : 13; }
inline std::uint32_t guest_page_fault(Comparison const& comparison) { return comparison.probe.write ? 23 : 21; }

inline Causes of_structure(Comparison const& comparison) {
  std::string const& about = comparison.configuration_fault->about;
  auto const at = about.rfind("cause ");
  if (at == std::string::npos) return {};
  Causes causes{static_cast<std::uint32_t>(std::stoul(about.substr(at + 6)))};
  if (about.ends_with("or a guest page fault"))
    causes.insert(causes.end(), {guest_page_fault(comparison), access_fault(comparison)});
  return causes;
}

inline Causes of_walk(Comparison const& comparison) {
  FaultRecord const& fault = *comparison.fault;
  auto const& user = comparison.configuration->user;
  bool const nested = comparison.configuration->parent.has_value();
  bool const in_second_stage = nested ? fault.depth == 1 : user && user->format.format == FormatName::riscv_x4;
  switch (fault.reason) {
    case Reason::not_mapped:
    case Reason::out_of_range:
    case Reason::malformed:
    case Reason::access_flag:
    case Reason::permission: return {in_second_stage ? guest_page_fault(comparison) : page_fault(comparison)};
    case Reason::address_size: return {access_fault(comparison)};
    case Reason::table_unreachable:
      return nested && fault.depth == 0 ? Causes{guest_page_fault(comparison), access_fault(comparison)}
                                        : Causes{access_fault(comparison)};
    // what the second stage does not map; whether there is memory at the end is not the IOMMU's affair
    case Reason::output_unreachable:
      return nested && !comparison.translation.walk.ok() ? Causes{guest_page_fault(comparison)} : Causes{};
    default: return {};
  }
}

// DTF keeps faults from being reported, but for those of the device directory.
inline bool silenced(Comparison const& comparison, Causes const& causes) {
  return (comparison.word_of("DC") & bit(4)) != 0 && !causes.empty() && (causes.front() < 256 || causes.front() > 259);
}

inline Causes expected(Comparison const& comparison) {
  Causes causes;
  if (comparison.configuration_fault)
    causes = of_structure(comparison);
  else if (comparison.fault)
    causes = of_walk(comparison);
  return silenced(comparison, causes) ? Causes{} : causes;
}

}  // namespace swiommu::oracle::riscv_faults
