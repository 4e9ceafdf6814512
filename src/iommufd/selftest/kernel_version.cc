#include "iommufd/selftest/kernel_version.h"

#include "swiommu/base/bits.h"

namespace swiommu::iommufd::selftest {

std::optional<Leaves> leaves_of_profile(std::string_view name) {
  if (name == "kernel-selftest") return Leaves::of_2_kib;
  if (name == "kernel-selftest-7.3") return Leaves::up_to_4_kib;
  return std::nullopt;
}

std::uint64_t leaf_sizes(Leaves usual, MockTable table, std::uint32_t device_flags) {
  if (table == mock_table_huge) return bit(mock_huge_page_lg2) | bit(12);
  std::uint64_t const huge = (device_flags & mock_huge_leaves) != 0 ? bit(mock_huge_page_lg2) : 0;
  return bit(mock_page_lg2) | (usual == Leaves::up_to_4_kib ? bit(12) : 0) | huge;
}

}  // namespace swiommu::iommufd::selftest
