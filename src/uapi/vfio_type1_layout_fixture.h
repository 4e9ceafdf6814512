// The numbers of the VFIO type 1 ABI, written down apart from the definitions that they check. Included where the structures are
// defined, with STRUCTURE, FIELD and VALUE as the includer defines them: so it has no #pragma once.
// clang-format off
STRUCTURE(vfio_info_cap_header, 8,
  FIELD(id, 0, 2) FIELD(version, 2, 2) FIELD(next, 4, 4))
STRUCTURE(vfio_iommu_type1_info, 24,
  FIELD(argsz, 0, 4) FIELD(flags, 4, 4) FIELD(iova_pgsizes, 8, 8) FIELD(cap_offset, 16, 4) FIELD(pad, 20, 4))
STRUCTURE(vfio_iova_range, 16,
  FIELD(start, 0, 8) FIELD(end, 8, 8))
STRUCTURE(vfio_iommu_type1_info_cap_iova_range, 16,
  FIELD(header, 0, 8) FIELD(nr_iovas, 8, 4) FIELD(reserved, 12, 4))
STRUCTURE(vfio_iommu_type1_info_cap_migration, 32,
  FIELD(header, 0, 8) FIELD(flags, 8, 4) FIELD(pgsize_bitmap, 16, 8) FIELD(max_dirty_bitmap_size, 24, 8))
STRUCTURE(vfio_iommu_type1_info_dma_avail, 12,
  FIELD(header, 0, 8) FIELD(avail, 8, 4))
STRUCTURE(vfio_iommu_type1_dma_map, 32,
  FIELD(argsz, 0, 4) FIELD(flags, 4, 4) FIELD(vaddr, 8, 8) FIELD(iova, 16, 8) FIELD(size, 24, 8))
STRUCTURE(vfio_bitmap, 24,
  FIELD(pgsize, 0, 8) FIELD(size, 8, 8) FIELD(data, 16, 8))
STRUCTURE(vfio_iommu_type1_dma_unmap, 24,
  FIELD(argsz, 0, 4) FIELD(flags, 4, 4) FIELD(iova, 8, 8) FIELD(size, 16, 8))
STRUCTURE(vfio_iommu_type1_dirty_bitmap, 8,
  FIELD(argsz, 0, 4) FIELD(flags, 4, 4))
STRUCTURE(vfio_iommu_type1_dirty_bitmap_get, 40,
  FIELD(iova, 0, 8) FIELD(size, 8, 8) FIELD(bitmap, 16, 24))

VALUE(VFIO_API_VERSION, 0)
VALUE(VFIO_TYPE1_IOMMU, 1)
VALUE(VFIO_SPAPR_TCE_IOMMU, 2)
VALUE(VFIO_TYPE1v2_IOMMU, 3)
VALUE(VFIO_DMA_CC_IOMMU, 4)
VALUE(VFIO_EEH, 5)
VALUE(VFIO_TYPE1_NESTING_IOMMU, 6)
VALUE(VFIO_SPAPR_TCE_v2_IOMMU, 7)
VALUE(VFIO_NOIOMMU_IOMMU, 8)
VALUE(VFIO_UNMAP_ALL, 9)
VALUE(VFIO_UPDATE_VADDR, 10)
VALUE(VFIO_TYPE, 0x3b)
VALUE(VFIO_BASE, 100)
VALUE(VFIO_GET_API_VERSION, 0x3b64)
VALUE(VFIO_CHECK_EXTENSION, 0x3b65)
VALUE(VFIO_SET_IOMMU, 0x3b66)
VALUE(VFIO_IOMMU_GET_INFO, 0x3b70)
VALUE(VFIO_IOMMU_MAP_DMA, 0x3b71)
VALUE(VFIO_IOMMU_UNMAP_DMA, 0x3b72)
VALUE(VFIO_IOMMU_ENABLE, 0x3b73)
VALUE(VFIO_IOMMU_DISABLE, 0x3b74)
VALUE(VFIO_IOMMU_DIRTY_PAGES, 0x3b75)
VALUE(VFIO_IOMMU_INFO_PGSIZES, 1)
VALUE(VFIO_IOMMU_INFO_CAPS, 2)
VALUE(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1)
VALUE(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 2)
VALUE(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 3)
VALUE(VFIO_DMA_MAP_FLAG_READ, 1)
VALUE(VFIO_DMA_MAP_FLAG_WRITE, 2)
VALUE(VFIO_DMA_MAP_FLAG_VADDR, 4)
VALUE(VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, 1)
VALUE(VFIO_DMA_UNMAP_FLAG_ALL, 2)
VALUE(VFIO_DMA_UNMAP_FLAG_VADDR, 4)
VALUE(VFIO_IOMMU_DIRTY_PAGES_FLAG_START, 1)
VALUE(VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, 2)
VALUE(VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, 4)
// clang-format on
