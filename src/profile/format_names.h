// The names of page-table formats as people write them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "swiommu/base/result.h"
#include "swiommu/page_table/format_configuration.h"

namespace swiommu {

struct NamedFormat {
  std::string name;         // "riscv-sv48"
  std::string also;         // other spellings, separated by commas; may be empty
  std::string description;  // one line
  FormatConfiguration configuration;
  std::vector<unsigned> levels;  // that may be asked for with --levels; the configuration's own is the usual one
  bool big_endian = false;       // in memory, usually
};

// All names, in the order of the formats.
std::vector<NamedFormat> const& named_formats();

// EINVAL, with the names that there are, if there is no such format.
Result<NamedFormat> find_format(std::string_view name);

// The named format that a configuration belongs to: of its granule and, where names say them, of its levels.
NamedFormat const& named_format_of(FormatConfiguration const& configuration);

}  // namespace swiommu
