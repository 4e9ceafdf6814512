// Why a translation failed: one vocabulary for all hardware.
#pragma once
#include <cstdint>
#include <string_view>

namespace swiommu {

enum class Reason : std::uint8_t {
  none,                // no fault
  not_mapped,          // an entry on the way says "nothing here"
  permission,          // the rights left at the end of the walk do not suffice
  malformed,           // an entry on the way is not one that this architecture defines
  access_flag,         // the entry's accessed flag is clear and nobody updates it
  address_size,        // an entry names an address beyond the output size
  out_of_range,        // the input address lies outside what the table covers
  table_unreachable,   // a table on the way lies where the parent maps nothing
  output_unreachable,  // the output lies where the parent maps nothing
  configuration,       // the device's own structures (context entry, STE, DTE ...) do not lead to a table
};

// "not-mapped", "permission", ...: the words of the command line and of its JSON.
constexpr std::string_view name(Reason reason) {
  switch (reason) {
    case Reason::none: return "none";
    case Reason::not_mapped: return "not-mapped";
    case Reason::permission: return "permission";
    case Reason::malformed: return "malformed";
    case Reason::access_flag: return "access-flag";
    case Reason::address_size: return "address-size";
    case Reason::out_of_range: return "out-of-range";
    case Reason::table_unreachable: return "table-unreachable";
    case Reason::output_unreachable: return "output-unreachable";
    case Reason::configuration: return "configuration";
  }
  return "unknown";
}

}  // namespace swiommu
