#include "swiommu/memory/origin.h"

#include <fmt/format.h>

namespace swiommu {

std::string Origin::describe(std::uint64_t offset) const {
  std::string const by = process != 0 ? fmt::format(" (pid {})", process) : "";
  std::uint64_t const at = address + offset;
  switch (kind) {
    case Kind::host: return fmt::format("host address {:#x}{}", at, by);
    case Kind::process: return fmt::format("{:#x}{}", at, by);
    case Kind::file: return fmt::format("byte {:#x} of a file{}", at, by);
    case Kind::device: return fmt::format("byte {:#x} of a device's buffer{}", at, by);
  }
  return {};
}

}  // namespace swiommu
