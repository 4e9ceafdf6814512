// What values are called in profiles that users write.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "swiommu/profile/profile.h"

namespace swiommu {

struct ValueName {
  std::string_view name;
  std::uint32_t value;
};

std::span<ValueName const> hwpt_flag_names();      // IOMMU_HWPT_ALLOC_...
std::span<ValueName const> nested_type_names();    // IOMMU_HWPT_DATA_...
std::span<ValueName const> viommu_type_names();    // IOMMU_VIOMMU_TYPE_...
std::span<ValueName const> reserved_kind_names();  // ReservedIovas::Kind

// "IOMMU_HWPT_ALLOC_NEST_PARENT|IOMMU_HWPT_ALLOC_PASID", "flags 0"
std::string hwpt_flags_text(std::uint32_t flags);

// A decimal or hexadecimal number, or a size: "4096", "0x1000", "4K", "1G".
std::optional<std::uint64_t> number_of(std::string_view text);
// "4K", "2M"; of 2^lg2
std::string size_text(unsigned lg2);

}  // namespace swiommu
