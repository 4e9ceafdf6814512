/* The ioctls of VFIO's type 1 IOMMU, which /dev/iommu answers too, under Linux' own names, for C and C++. */

/* The guards are those of <linux/vfio.h>, in a kernel tree and installed: whichever comes first excludes the other. Who needs
 * the ioctls of VFIO's groups and devices as well includes <linux/vfio.h>, or "swiommu/uapi/vfio.h". */
#if !defined(_UAPIVFIO_H) && !defined(VFIO_H)
#define _UAPIVFIO_H
#define VFIO_H
#define SWIOMMU_UAPI_VFIO_TYPE1_H /* it was this header that came first */

#include <stdint.h>

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* arrays without a length at the end of structures */
#endif

#define VFIO_API_VERSION 0

/* The argument of VFIO_CHECK_EXTENSION; the types are those of VFIO_SET_IOMMU as well. */
#define VFIO_TYPE1_IOMMU 1
#define VFIO_SPAPR_TCE_IOMMU 2
#define VFIO_TYPE1v2_IOMMU 3
#define VFIO_DMA_CC_IOMMU 4 /* DMA is cache-coherent, whatever the device asks for */
#define VFIO_EEH 5
#define VFIO_TYPE1_NESTING_IOMMU 6
#define VFIO_SPAPR_TCE_v2_IOMMU 7
#define VFIO_NOIOMMU_IOMMU 8
#define VFIO_UNMAP_ALL 9
#define VFIO_UPDATE_VADDR 10

#define VFIO_TYPE (';')
#define VFIO_BASE 100

/* What _IO(VFIO_TYPE, VFIO_BASE + n) gives. */
#define VFIO_GET_API_VERSION 0x3b64u
#define VFIO_CHECK_EXTENSION 0x3b65u
#define VFIO_SET_IOMMU 0x3b66u
#define VFIO_IOMMU_GET_INFO 0x3b70u
#define VFIO_IOMMU_MAP_DMA 0x3b71u
#define VFIO_IOMMU_UNMAP_DMA 0x3b72u
#define VFIO_IOMMU_ENABLE 0x3b73u
#define VFIO_IOMMU_DISABLE 0x3b74u
#define VFIO_IOMMU_DIRTY_PAGES 0x3b75u

/* ---- VFIO_IOMMU_GET_INFO: the structure, and a chain of capabilities behind it ---- */

#define VFIO_IOMMU_INFO_PGSIZES (1 << 0)
#define VFIO_IOMMU_INFO_CAPS (1 << 1)

struct vfio_iommu_type1_info {
  uint32_t argsz; /* out: the room that everything needs */
  uint32_t flags;
  uint64_t iova_pgsizes; /* a bit for each size of page */
  uint32_t cap_offset;   /* of the first capability, 0 if they did not fit */
  uint32_t pad;
};

struct vfio_info_cap_header {
  uint16_t id;
  uint16_t version;
  uint32_t next; /* offset from the start of the structure, 0 for none */
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE 1

struct vfio_iova_range {
  uint64_t start;
  uint64_t end; /* inclusive */
};

struct vfio_iommu_type1_info_cap_iova_range {
  struct vfio_info_cap_header header;
  uint32_t nr_iovas;
  uint32_t reserved;
  struct vfio_iova_range iova_ranges[];
};

#define VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION 2

struct vfio_iommu_type1_info_cap_migration {
  struct vfio_info_cap_header header;
  uint32_t flags;
  uint64_t pgsize_bitmap;
  uint64_t max_dirty_bitmap_size; /* bytes */
};

#define VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL 3

struct vfio_iommu_type1_info_dma_avail {
  struct vfio_info_cap_header header;
  uint32_t avail; /* how many mappings more there may be */
};

/* ---- VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA ---- */

#define VFIO_DMA_MAP_FLAG_READ (1 << 0)
#define VFIO_DMA_MAP_FLAG_WRITE (1 << 1)
#define VFIO_DMA_MAP_FLAG_VADDR (1 << 2)

struct vfio_iommu_type1_dma_map {
  uint32_t argsz;
  uint32_t flags;
  uint64_t vaddr;
  uint64_t iova;
  uint64_t size;
};

struct vfio_bitmap {
  uint64_t pgsize;
  uint64_t size; /* bytes */
  uint64_t* data;
};

#define VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP (1 << 0)
#define VFIO_DMA_UNMAP_FLAG_ALL (1 << 1)
#define VFIO_DMA_UNMAP_FLAG_VADDR (1 << 2)

struct vfio_iommu_type1_dma_unmap {
  uint32_t argsz;
  uint32_t flags;
  uint64_t iova;
  uint64_t size; /* out: bytes that were unmapped */
  uint8_t data[];
};

/* ---- VFIO_IOMMU_DIRTY_PAGES ---- */

#define VFIO_IOMMU_DIRTY_PAGES_FLAG_START (1 << 0)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP (1 << 1)
#define VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP (1 << 2)

struct vfio_iommu_type1_dirty_bitmap {
  uint32_t argsz;
  uint32_t flags;
  uint8_t data[];
};

struct vfio_iommu_type1_dirty_bitmap_get {
  uint64_t iova;
  uint64_t size;
  struct vfio_bitmap bitmap;
};

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif
