// The structures behind data_uptr, of each hardware.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "ioctl_grammar.h"
#include "iommufd/selftest/mock_hardware.h"
#include "swiommu/base/bits.h"
#include "swiommu/profile/profile.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::fuzzing {

// 8 bytes each, or 4.
enum class Word : std::uint8_t {
  none,
  // 4 bytes
  flag4,
  small4,
  device4,  // a virtual id
  format4,
  width4,  // of inputs, in bits
  // 8 bytes
  number,
  start,
  last,
  pages,          // a number of pages
  bytes,          // of whole pages
  table_address,  // of the caller's memory, through its parent
  stream_entry0,
  stream_entry1,
  smmuv3_command0,
  smmuv3_command1,
  amd_command0,
  amd_command1,
  riscv_command0,
  riscv_command1,
  device_entry0,  // of AMD
  device_entry1,
  device_context0,  // of RISC-V: tc, fsc
  device_context2,
  anchor,      // of zPCI
  raw_levels,  // and what is beside them
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
    {Hardware::arm_smmuv3,
     Role::viommu_invalidation,
     IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
     {smmuv3_command0, smmuv3_command1}},
    {Hardware::amd, Role::nested, IOMMU_HWPT_DATA_AMD_GUEST, {device_entry0, device_entry1, number, number}},
    {Hardware::amd, Role::viommu_invalidation, SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD, {amd_command0, amd_command1}},
    {Hardware::riscv, Role::nested, SWIOMMU_HWPT_DATA_RISCV, {device_context0, number, device_context2}},
    {Hardware::riscv, Role::viommu_invalidation, SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV, {riscv_command0, riscv_command1}},
    {Hardware::s390_zpci, Role::nested, SWIOMMU_HWPT_DATA_ZPCI, {anchor, start, last}},
    {Hardware::s390_zpci, Role::nested_invalidation, SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI, {start, bytes}},
    // for all hardware
    {Hardware::kernel_selftest, Role::raw, SWIOMMU_HWPT_DATA_RAW, {format4, flag4, table_address, raw_levels, number}},
    {Hardware::kernel_selftest, Role::raw_invalidation, SWIOMMU_HWPT_INVALIDATE_DATA_RAW, {start, last}},
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

// The name of an entry of HWPT_INVALIDATE, by its type and first word.
inline char const* entry_name(std::uint32_t type, std::uint64_t word) {
  switch (type) {
    case IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: return "VT-d range";
    case IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3:
      switch (bit_field(word, 7, 0)) {
        case 0x05: return "SMMUv3 CFGI_CD";
        case 0x06: return "SMMUv3 CFGI_CD_ALL";
        case 0x10: return "SMMUv3 TLBI_NH_ALL";
        case 0x11: return "SMMUv3 TLBI_NH_ASID";
        case 0x12: return "SMMUv3 TLBI_NH_VA";
        case 0x13: return "SMMUv3 TLBI_NH_VAA";
        case 0x30: return "SMMUv3 TLBI_NSNH_ALL";
        case 0x40: return "SMMUv3 ATC_INV";
        default: return "SMMUv3 another";
      }
    case SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD:
      switch (bit_field(word, 63, 60)) {
        case 2: return "AMD DEVTAB_ENTRY";
        case 3: return "AMD IOMMU_PAGES";
        case 4: return "AMD IOTLB_PAGES";
        case 8: return "AMD IOMMU_ALL";
        default: return "AMD another";
      }
    case SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV:
      switch (bit_field(word, 9, 0)) {
        case 0x001: return "RISC-V IOTINVAL.VMA";
        case 0x003: return "RISC-V IODIR.INVAL_DDT";
        case 0x083: return "RISC-V IODIR.INVAL_PDT";
        default: return "RISC-V another";
      }
    case SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI: return "zPCI range";
    case SWIOMMU_HWPT_INVALIDATE_DATA_RAW: return "raw range";
    default: return "an unknown type";
  }
}

}  // namespace swiommu::fuzzing
