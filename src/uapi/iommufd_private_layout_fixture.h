// The numbers of iommufd_private.h, as iommufd_layout_fixture.h has those of Linux.
// clang-format off
STRUCTURE(swiommu_hwpt_riscv, 24,
  FIELD(tc, 0, 8) FIELD(ta, 8, 8) FIELD(fsc, 16, 8))
STRUCTURE(swiommu_hwpt_zpci, 24,
  FIELD(iota, 0, 8) FIELD(pba, 8, 8) FIELD(pal, 16, 8))
STRUCTURE(swiommu_hwpt_raw, 32,
  FIELD(format, 0, 4) FIELD(flags, 4, 4) FIELD(root, 8, 8) FIELD(levels, 16, 1) FIELD(granule_lg2, 17, 1)
  FIELD(input_bits, 18, 1) FIELD(output_bits, 19, 1) FIELD(__reserved, 20, 4) FIELD(memory_attributes, 24, 8))
STRUCTURE(swiommu_viommu_amd_invalidate, 16,
  FIELD(cmd, 0, 16))
STRUCTURE(swiommu_viommu_riscv_invalidate, 16,
  FIELD(cmd, 0, 16))
STRUCTURE(swiommu_hwpt_zpci_invalidate, 16,
  FIELD(start, 0, 8) FIELD(length, 8, 8))
STRUCTURE(swiommu_hwpt_raw_invalidate, 16,
  FIELD(start, 0, 8) FIELD(last, 8, 8))

VALUE(SWIOMMU_HWPT_DATA_RISCV, 0x53570001)
VALUE(SWIOMMU_HWPT_DATA_ZPCI, 0x53570002)
VALUE(SWIOMMU_HWPT_DATA_RAW, 0x53570003)
VALUE(SWIOMMU_VIOMMU_TYPE_AMD, 0x53570001)
VALUE(SWIOMMU_VIOMMU_TYPE_RISCV, 0x53570002)
VALUE(SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD, 0x53570001)
VALUE(SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV, 0x53570002)
VALUE(SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI, 0x53570003)
VALUE(SWIOMMU_HWPT_INVALIDATE_DATA_RAW, 0x53570004)
// clang-format on
