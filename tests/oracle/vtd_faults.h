// The fault reasons of VT-d (section 7.1.3, "Fault Reason Encodings") for what our side says.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "oracle/hardware.h"

namespace swiommu::oracle::vtd_faults {

using Codes = std::vector<std::uint32_t>;

enum class Wrong { unreachable, absent, reserved, invalid };

inline Wrong kind(ConfigurationFault const& fault) {
  auto const says = [&](std::string_view text) { return fault.about.find(text) != std::string::npos; };
  if (says("cannot be reached")) return Wrong::unreachable;
  if (says("is not present")) return Wrong::absent;
  return says("reserved bits") ? Wrong::reserved : Wrong::invalid;
}

// The first code of each structure is "cannot be accessed", then "not present", "reserved", "invalid".
inline Codes of_structure(ConfigurationFault const& fault, bool scalable) {
  struct {
    std::string_view structure;
    std::uint32_t codes[4];
  } constexpr legacy[] = {{"root entry", {0x8, 0x1, 0xa, 0xa}}, {"context entry", {0x9, 0x2, 0xb, 0x3}}},
              scalable_mode[] = {{"scalable-mode root entry", {0x38, 0x39, 0x3a, 0x3a}},
                                 {"scalable-mode context entry", {0x40, 0x41, 0x42, 0x43}},
                                 {"PASID directory entry", {0x50, 0x51, 0x52, 0x52}},
                                 {"PASID table entry", {0x58, 0x59, 0x5a, 0x5b}}};
  auto const wrong = static_cast<unsigned>(kind(fault));
  Codes codes;
  auto const look = [&](auto const& structures) {
    for (auto const& entry : structures)
      if (fault.about.starts_with(entry.structure)) codes = {entry.codes[wrong]};
  };
  scalable ? look(scalable_mode) : look(legacy);
  if (fault.about.find("too small for RID_PASID") != std::string::npos) codes = {0x48};
  return codes;
}

// FPD in what was read last silences all that is said about it and what lies behind it.
inline bool silenced(std::vector<ConfigurationStep> const& steps, Wrong wrong, bool in_structure) {
  for (auto const& step : steps) {
    if (step.words.empty() || step.what.ends_with("root entry")) continue;
    bool const last = &step == &steps.back();
    if (last && in_structure && wrong == Wrong::unreachable) continue;
    if ((step.words[0] & 2) != 0) return true;
  }
  return false;
}

// Does an entry on the way, leaf or not, lack a right? It may be met before what is wrong further down.
inline bool lacks(Comparison const& comparison, std::uint64_t needed) {
  return std::ranges::any_of(comparison.steps,
                             [&](WalkStep const& step) { return step.reached && (step.entry & needed) != needed; });
}

inline bool at_root(Comparison const& comparison) { return comparison.steps.size() <= 1; }

inline Codes of_second_stage(Comparison const& comparison, bool scalable) {
  bool const write = comparison.probe.write;
  Codes codes;
  switch (comparison.fault->reason) {
    case Reason::not_mapped:
    case Reason::permission: break;
    case Reason::malformed:
    case Reason::address_size: codes = {scalable ? 0x7au : 0xcu}; break;
    case Reason::out_of_range: return scalable ? Codes{0x83, 0x84} : Codes{4};
    // a root that cannot be read is the context entry's mistake, or the PASID table entry's
    case Reason::table_unreachable: codes = {at_root(comparison) ? scalable ? 0x7bu : 3u : scalable ? 0x78u : 7u}; break;
    default: return {};  // what lies at the end is not the IOMMU's affair
  }
  if (codes.empty() || lacks(comparison, write ? 2 : 1)) {
    codes.push_back(scalable ? write ? 0x85 : 0x86 : write ? 5 : 6);
    if (scalable) codes.push_back(0x79);
  }
  return codes;
}

inline Codes of_first_stage(Comparison const& comparison) {
  bool const write = comparison.probe.write;
  Codes codes;
  switch (comparison.fault->reason) {
    case Reason::not_mapped: codes = {0x71}; break;
    case Reason::permission: break;
    case Reason::malformed:
    case Reason::address_size: codes = {0x72}; break;
    case Reason::out_of_range: return {0x80};
    case Reason::table_unreachable: codes = {at_root(comparison) ? 0x73u : 0x70u}; break;
    default: return {};
  }
  if (lacks(comparison, 4)) codes.push_back(0x81);
  if (write && lacks(comparison, 2)) codes.push_back(0x85);
  return codes;
}

inline Codes expected(Comparison const& comparison, bool scalable, bool first_stage) {
  if (comparison.configuration_fault) {
    auto const& fault = *comparison.configuration_fault;
    return silenced(fault.steps, kind(fault), true) ? Codes{} : of_structure(fault, scalable);
  }
  if (!comparison.fault || silenced(comparison.configuration->steps, Wrong::invalid, false)) return {};
  return first_stage ? of_first_stage(comparison) : of_second_stage(comparison, scalable);
}

}  // namespace swiommu::oracle::vtd_faults
