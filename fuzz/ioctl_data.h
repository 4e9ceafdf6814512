// The structures behind data_uptr, of each hardware.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "ioctl_grammar.h"
#include "iommufd/selftest/mock_hardware.h"
#include "swiommu/profile/profile.h"

namespace swiommu::fuzzing {

// 8 bytes each, or 4.
enum class Word : std::uint8_t {
  none,
  // 4 bytes
  flag4,
  small4,
  device4,  // a virtual id
  width4,   // of inputs, in bits
  // 8 bytes
  number,
  start,
  last,
  pages,          // a number of pages
  table_address,  // of the caller's memory, through its parent
  stream_entry0,
  stream_entry1,
  command0,
  command1,
};
constexpr unsigned size_of(Word word) { return word >= Word::number ? 8 : 4; }

struct DataShape {
  Hardware hardware;
  Role role;
  std::uint32_t type;
  std::array<Word, 6> words;  // an entry of an array, where there is one
};

namespace data_shapes {

using enum Word;
using namespace iommufd::selftest;

inline constexpr DataShape all[] = {
    {Hardware::kernel_selftest, Role::table, mock_hwpt_type, {small4, flag4}},
    {Hardware::kernel_selftest, Role::nested, mock_hwpt_type, {small4, flag4}},
    {Hardware::kernel_selftest, Role::viommu, mock_viommu_type, {small4, small4, number, number}},
    {Hardware::kernel_selftest, Role::nested_invalidation, mock_invalidation_type, {flag4, small4}},
    {Hardware::kernel_selftest, Role::viommu_invalidation, mock_invalidation_type, {flag4, device4, small4}},
    {Hardware::intel_vtd, Role::nested, IOMMU_HWPT_DATA_VTD_S1, {flag4, small4, table_address, width4, small4}},
    {Hardware::intel_vtd, Role::nested_invalidation, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, {start, pages, flag4, flag4}},
    {Hardware::arm_smmuv3, Role::nested, IOMMU_HWPT_DATA_ARM_SMMUV3, {stream_entry0, stream_entry1}},
    {Hardware::arm_smmuv3, Role::viommu_invalidation, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, {command0, command1}},
    {Hardware::amd, Role::nested, IOMMU_HWPT_DATA_AMD_GUEST, {number, table_address, number, number}},
};
inline constexpr DataShape ranges{Hardware::intel_vtd, Role::ranges, 0, {start, last}};

}  // namespace data_shapes

// What this hardware takes there; another's, which it refuses, if it takes nothing.
inline DataShape const& data_shape(Hardware hardware, Role role) {
  if (role == Role::ranges) return data_shapes::ranges;
  DataShape const* found = &data_shapes::all[0];
  for (DataShape const& shape : data_shapes::all)
    if (shape.role == role && (shape.hardware == hardware || found->role != role)) found = &shape;
  return *found;
}

}  // namespace swiommu::fuzzing
