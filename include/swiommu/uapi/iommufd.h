/* The ioctls of /dev/iommu, as Linux 7.2 has them, under Linux' own names, for C and C++. All of them have the shape
 * ioctl(fd, REQUEST, &structure), where the first word of the structure is its size as the caller knows it. */

/* The guards are those of <linux/iommufd.h>, in a kernel tree and installed: whichever comes first excludes the other. */
#if !defined(_UAPI_IOMMUFD_H) && !defined(_IOMMUFD_H)
#define _UAPI_IOMMUFD_H
#define _IOMMUFD_H
#define SWIOMMU_UAPI_IOMMUFD_H

#include <stdint.h>

#define IOMMUFD_TYPE (';')

enum {
  IOMMUFD_CMD_BASE = 0x80,
  IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
  IOMMUFD_CMD_IOAS_ALLOC = 0x81,
  IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
  IOMMUFD_CMD_IOAS_COPY = 0x83,
  IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
  IOMMUFD_CMD_IOAS_MAP = 0x85,
  IOMMUFD_CMD_IOAS_UNMAP = 0x86,
  IOMMUFD_CMD_OPTION = 0x87,
  IOMMUFD_CMD_VFIO_IOAS = 0x88,
  IOMMUFD_CMD_HWPT_ALLOC = 0x89,
  IOMMUFD_CMD_GET_HW_INFO = 0x8a,
  IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
  IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
  IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
  IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
  IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
  IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
  IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
  IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
  IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
  IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
};

/* What _IO(IOMMUFD_TYPE, IOMMUFD_CMD_...) gives. */
#define IOMMU_DESTROY 0x3b80u
#define IOMMU_IOAS_ALLOC 0x3b81u
#define IOMMU_IOAS_ALLOW_IOVAS 0x3b82u
#define IOMMU_IOAS_COPY 0x3b83u
#define IOMMU_IOAS_IOVA_RANGES 0x3b84u
#define IOMMU_IOAS_MAP 0x3b85u
#define IOMMU_IOAS_UNMAP 0x3b86u
#define IOMMU_OPTION 0x3b87u
#define IOMMU_VFIO_IOAS 0x3b88u
#define IOMMU_HWPT_ALLOC 0x3b89u
#define IOMMU_GET_HW_INFO 0x3b8au
#define IOMMU_HWPT_SET_DIRTY_TRACKING 0x3b8bu
#define IOMMU_HWPT_GET_DIRTY_BITMAP 0x3b8cu
#define IOMMU_HWPT_INVALIDATE 0x3b8du
#define IOMMU_FAULT_QUEUE_ALLOC 0x3b8eu
#define IOMMU_IOAS_MAP_FILE 0x3b8fu
#define IOMMU_VIOMMU_ALLOC 0x3b90u
#define IOMMU_VDEVICE_ALLOC 0x3b91u
#define IOMMU_IOAS_CHANGE_PROCESS 0x3b92u
#define IOMMU_VEVENTQ_ALLOC 0x3b93u
#define IOMMU_HW_QUEUE_ALLOC 0x3b94u

/* Destroys any object by its id. */
struct iommu_destroy {
  uint32_t size;
  uint32_t id;
};

/* ---- I/O address spaces (IOAS): what is mapped where, whatever devices are attached ---- */

struct iommu_ioas_alloc {
  uint32_t size;
  uint32_t flags; /* 0 */
  uint32_t out_ioas_id;
};

struct iommu_iova_range {
  uint64_t start;
  uint64_t last; /* inclusive */
};

/* The ranges that can be mapped now. num_iovas: in the room in the array, out the number of ranges (EMSGSIZE if more). */
struct iommu_ioas_iova_ranges {
  uint32_t size;
  uint32_t ioas_id;
  uint32_t num_iovas;
  uint32_t __reserved;
  uint64_t allowed_iovas; /* pointer to struct iommu_iova_range[] */
  uint64_t out_iova_alignment;
};

/* Replaces the list of ranges that must stay mappable, whatever is attached later. */
struct iommu_ioas_allow_iovas {
  uint32_t size;
  uint32_t ioas_id;
  uint32_t num_iovas;
  uint32_t __reserved;
  uint64_t allowed_iovas; /* pointer to struct iommu_iova_range[] */
};

enum iommufd_ioas_map_flags {
  IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
  IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
  IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

struct iommu_ioas_map {
  uint32_t size;
  uint32_t flags; /* enum iommufd_ioas_map_flags */
  uint32_t ioas_id;
  uint32_t __reserved;
  uint64_t user_va;
  uint64_t length;
  uint64_t iova; /* in with FIXED_IOVA, else out */
};

struct iommu_ioas_map_file {
  uint32_t size;
  uint32_t flags; /* enum iommufd_ioas_map_flags */
  uint32_t ioas_id;
  int32_t fd;
  uint64_t start; /* in the file */
  uint64_t length;
  uint64_t iova;
};

/* Maps once more what lies at src_iova, which must lie in one mapping. */
struct iommu_ioas_copy {
  uint32_t size;
  uint32_t flags; /* enum iommufd_ioas_map_flags */
  uint32_t dst_ioas_id;
  uint32_t src_ioas_id;
  uint64_t length;
  uint64_t dst_iova;
  uint64_t src_iova;
};

/* Unmaps whole mappings; iova 0 and length ~0 unmap all. */
struct iommu_ioas_unmap {
  uint32_t size;
  uint32_t ioas_id;
  uint64_t iova;
  uint64_t length; /* out: bytes that were unmapped */
};

/* The mappings, all of them of files, are accounted to the calling process from now on. */
struct iommu_ioas_change_process {
  uint32_t size;
  uint32_t __reserved;
};

enum iommufd_option {
  IOMMU_OPTION_RLIMIT_MODE = 0, /* 0: pins are accounted to the user, 1: to the process */
  IOMMU_OPTION_HUGE_PAGES = 1,  /* 0: leaves are never larger than a page */
};

enum iommufd_option_ops {
  IOMMU_OPTION_OP_SET = 0,
  IOMMU_OPTION_OP_GET = 1,
};

struct iommu_option {
  uint32_t size;
  uint32_t option_id; /* enum iommufd_option */
  uint16_t op;        /* enum iommufd_option_ops */
  uint16_t __reserved;
  uint32_t object_id;
  uint64_t val64;
};

enum iommufd_vfio_ioas_op {
  IOMMU_VFIO_IOAS_GET = 0,
  IOMMU_VFIO_IOAS_SET = 1,
  IOMMU_VFIO_IOAS_CLEAR = 2,
};

/* The address space that the VFIO type 1 requests mean. */
struct iommu_vfio_ioas {
  uint32_t size;
  uint32_t ioas_id;
  uint16_t op; /* enum iommufd_vfio_ioas_op */
  uint16_t __reserved;
};

/* ---- hardware page tables (HWPT): paging domains, and nested domains over them ---- */

enum iommufd_hwpt_alloc_flags {
  IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
  IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
  IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

struct iommu_hwpt_alloc {
  uint32_t size;
  uint32_t flags; /* enum iommufd_hwpt_alloc_flags */
  uint32_t dev_id;
  uint32_t pt_id; /* of an IOAS; for nested ones of the parent HWPT or vIOMMU */
  uint32_t out_hwpt_id;
  uint32_t __reserved;
  uint32_t data_type; /* enum iommu_hwpt_data_type */
  uint32_t data_len;
  uint64_t data_uptr;
  uint32_t fault_id;
  uint32_t __reserved2;
};

enum iommufd_hwpt_set_dirty_tracking_flags {
  IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

struct iommu_hwpt_set_dirty_tracking {
  uint32_t size;
  uint32_t flags; /* enum iommufd_hwpt_set_dirty_tracking_flags */
  uint32_t hwpt_id;
  uint32_t __reserved;
};

enum iommufd_hwpt_get_dirty_bitmap_flags {
  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/* Sets a bit for every dirty page; clears none. */
struct iommu_hwpt_get_dirty_bitmap {
  uint32_t size;
  uint32_t hwpt_id;
  uint32_t flags; /* enum iommufd_hwpt_get_dirty_bitmap_flags */
  uint32_t __reserved;
  uint64_t iova;
  uint64_t length;
  uint64_t page_size;
  uint64_t data; /* pointer to the bitmap, bit 0 for iova */
};

struct iommu_hwpt_invalidate {
  uint32_t size;
  uint32_t hwpt_id; /* of a nested HWPT or of a vIOMMU */
  uint64_t data_uptr;
  uint32_t data_type; /* enum iommu_hwpt_invalidate_data_type */
  uint32_t entry_len;
  uint32_t entry_num; /* out: entries that were handled */
  uint32_t __reserved;
};

/* ---- devices: what their IOMMU can do, and what it reports ---- */

enum iommufd_hw_info_flags {
  IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0, /* in_data_type says what is asked for */
};

enum iommufd_hw_capabilities {
  IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
  IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
  IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

struct iommu_hw_info {
  uint32_t size;
  uint32_t flags; /* enum iommufd_hw_info_flags */
  uint32_t dev_id;
  uint32_t data_len; /* out: what there is, even if the room is smaller */
  uint64_t data_uptr;
  union { /* enum iommu_hw_info_type */
    uint32_t in_data_type;
    uint32_t out_data_type;
  };
  uint8_t out_max_pasid_log2;
  uint8_t __reserved[3];
  uint64_t out_capabilities; /* enum iommufd_hw_capabilities */
};

struct iommu_fault_alloc {
  uint32_t size;
  uint32_t flags; /* 0 */
  uint32_t out_fault_id;
  uint32_t out_fault_fd; /* read gives iommu_hwpt_pgfault, write takes iommu_hwpt_page_response */
};

enum iommu_hwpt_pgfault_flags {
  IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
  IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

enum iommu_hwpt_pgfault_perm {
  IOMMU_PGFAULT_PERM_READ = 1 << 0,
  IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
  IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
  IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

struct iommu_hwpt_pgfault {
  uint32_t flags; /* enum iommu_hwpt_pgfault_flags */
  uint32_t dev_id;
  uint32_t pasid;
  uint32_t grpid;
  uint32_t perm; /* enum iommu_hwpt_pgfault_perm */
  uint32_t __reserved;
  uint64_t addr;
  uint32_t length; /* a hint, 0 for none */
  uint32_t cookie; /* names the group in the response */
};

enum iommufd_page_response_code {
  IOMMUFD_PAGE_RESP_SUCCESS = 0,
  IOMMUFD_PAGE_RESP_INVALID = 1,
};

struct iommu_hwpt_page_response {
  uint32_t cookie;
  uint32_t code; /* enum iommufd_page_response_code */
};

/* ---- virtual IOMMUs: the part of an IOMMU that one guest sees ---- */

struct iommu_viommu_alloc {
  uint32_t size;
  uint32_t flags; /* 0 */
  uint32_t type;  /* enum iommu_viommu_type */
  uint32_t dev_id;
  uint32_t hwpt_id; /* the nesting parent */
  uint32_t out_viommu_id;
  uint32_t data_len;
  uint32_t __reserved;
  uint64_t data_uptr;
};

struct iommu_vdevice_alloc {
  uint32_t size;
  uint32_t viommu_id;
  uint32_t dev_id;
  uint32_t out_vdevice_id;
  uint64_t virt_id; /* the guest's number for the device */
};

struct iommu_veventq_alloc {
  uint32_t size;
  uint32_t flags; /* 0 */
  uint32_t viommu_id;
  uint32_t type; /* enum iommu_veventq_type */
  uint32_t veventq_depth;
  uint32_t out_veventq_id;
  uint32_t out_veventq_fd; /* read gives iommufd_vevent_header, each with the event behind it */
  uint32_t __reserved;
};

enum iommu_veventq_flag {
  IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1U << 0, /* no event behind this header */
};

struct iommufd_vevent_header {
  uint32_t flags;    /* enum iommu_veventq_flag */
  uint32_t sequence; /* one more for each event, 0 after INT_MAX */
};

struct iommu_hw_queue_alloc {
  uint32_t size;
  uint32_t flags; /* 0 */
  uint32_t viommu_id;
  uint32_t type; /* enum iommu_hw_queue_type */
  uint32_t index;
  uint32_t out_hw_queue_id;
  uint64_t nesting_parent_iova;
  uint64_t length;
};

#include "swiommu/uapi/iommufd_hardware.h"

#endif
