// The events that AMD's IOMMU logs (48882, section 2.5) for what our side says.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "oracle/hardware.h"
#include "swiommu/base/bits.h"

namespace swiommu::oracle::amd_events {

using Codes = std::vector<std::uint32_t>;

inline constexpr std::uint32_t illegal_entry = 1, page_fault = 2, device_table_error = 3, page_table_error = 4;

inline std::optional<Codes> expected(Comparison const& comparison) {
  std::uint64_t const word = comparison.word_of("device table entry", 1);
  if ((word & bit_span(34, 33)) != 0) return std::nullopt;  // SE, SA: page faults are suppressed, in part
  if (comparison.configuration_fault) {
    std::string_view const about = comparison.configuration_fault->about;
    if (about.find("cannot be reached") != std::string_view::npos) return Codes{device_table_error};
    if (about.find("(TV = 0)") != std::string_view::npos) return std::nullopt;
    return Codes{illegal_entry};
  }
  if (!comparison.fault) return Codes{};
  switch (comparison.fault->reason) {
    case Reason::table_unreachable: return Codes{page_table_error};
    case Reason::output_unreachable: return Codes{};
    default: return Codes{page_fault};
  }
}

}  // namespace swiommu::oracle::amd_events
