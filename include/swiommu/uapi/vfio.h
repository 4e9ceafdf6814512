/* The ioctls of VFIO's groups and devices, of PCI functions among them, under Linux' own names, for C and C++. Those of the
 * container are in vfio_type1.h, which comes with this one. Left out: what only other kinds of devices have (graphics planes,
 * CCW, NVLink), and the data of migration.
 *
 * Every structure that an ioctl takes begins with argsz: the bytes that the caller has room for. Of what it is too short for
 * nothing is written. */
#ifndef SWIOMMU_UAPI_VFIO_H
#define SWIOMMU_UAPI_VFIO_H

#include <stdint.h>

#include "swiommu/uapi/vfio_type1.h"

/* Not if <linux/vfio.h> was included before: its definitions, older or newer, are then the ones to use. */
#if defined(SWIOMMU_UAPI_VFIO_TYPE1_H)

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* arrays without a length, unions and structures without a name */
#endif

/* What _IO(VFIO_TYPE, VFIO_BASE + n) gives. The numbers are the container's as well: it depends on the file. */
#define VFIO_GROUP_GET_STATUS 0x3b67u
#define VFIO_GROUP_SET_CONTAINER 0x3b68u   /* argument: where the descriptor of a container or of /dev/iommu stands */
#define VFIO_GROUP_UNSET_CONTAINER 0x3b69u /* no argument */
#define VFIO_GROUP_GET_DEVICE_FD 0x3b6au   /* argument: the device's name, "0000:01:00.0" perhaps " vf_token=<uuid>" */
#define VFIO_DEVICE_GET_INFO 0x3b6bu
#define VFIO_DEVICE_GET_REGION_INFO 0x3b6cu
#define VFIO_DEVICE_GET_IRQ_INFO 0x3b6du
#define VFIO_DEVICE_SET_IRQS 0x3b6eu
#define VFIO_DEVICE_RESET 0x3b6fu /* no argument */
#define VFIO_DEVICE_GET_PCI_HOT_RESET_INFO 0x3b70u
#define VFIO_DEVICE_PCI_HOT_RESET 0x3b71u
#define VFIO_DEVICE_QUERY_GFX_PLANE 0x3b72u
#define VFIO_DEVICE_GET_GFX_DMABUF 0x3b73u
#define VFIO_DEVICE_IOEVENTFD 0x3b74u
#define VFIO_DEVICE_FEATURE 0x3b75u
#define VFIO_DEVICE_BIND_IOMMUFD 0x3b76u
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT 0x3b77u
#define VFIO_DEVICE_DETACH_IOMMUFD_PT 0x3b78u
#define VFIO_MIG_GET_PRECOPY_INFO 0x3b79u

/* ---- groups ---- */

#define VFIO_GROUP_FLAGS_VIABLE (1 << 0)
#define VFIO_GROUP_FLAGS_CONTAINER_SET (1 << 1)

struct vfio_group_status {
  uint32_t argsz;
  uint32_t flags;
};

/* ---- VFIO_DEVICE_GET_INFO ---- */

#define VFIO_DEVICE_FLAGS_RESET (1 << 0) /* VFIO_DEVICE_RESET works */
#define VFIO_DEVICE_FLAGS_PCI (1 << 1)
#define VFIO_DEVICE_FLAGS_PLATFORM (1 << 2)
#define VFIO_DEVICE_FLAGS_AMBA (1 << 3)
#define VFIO_DEVICE_FLAGS_CCW (1 << 4)
#define VFIO_DEVICE_FLAGS_AP (1 << 5)
#define VFIO_DEVICE_FLAGS_FSL_MC (1 << 6)
#define VFIO_DEVICE_FLAGS_CAPS (1 << 7)
#define VFIO_DEVICE_FLAGS_CDX (1 << 8)

struct vfio_device_info {
  uint32_t argsz;
  uint32_t flags;
  uint32_t num_regions;
  uint32_t num_irqs;
  uint32_t cap_offset; /* of the first capability, 0 for none */
  uint32_t pad;
};

/* ---- VFIO_DEVICE_GET_REGION_INFO: the structure, and a chain of capabilities behind it ---- */

#define VFIO_REGION_INFO_FLAG_READ (1 << 0)
#define VFIO_REGION_INFO_FLAG_WRITE (1 << 1)
#define VFIO_REGION_INFO_FLAG_MMAP (1 << 2)
#define VFIO_REGION_INFO_FLAG_CAPS (1 << 3)

struct vfio_region_info {
  uint32_t argsz; /* out: the room that the capabilities need, if there was less */
  uint32_t flags;
  uint32_t index;
  uint32_t cap_offset; /* of the first capability, 0 if they did not fit */
  uint64_t size;       /* bytes; 0: there is no such region */
  uint64_t offset;     /* in the device's file */
};

#define VFIO_REGION_INFO_CAP_SPARSE_MMAP 1

struct vfio_region_sparse_mmap_area {
  uint64_t offset; /* in the region */
  uint64_t size;
};

struct vfio_region_info_cap_sparse_mmap {
  struct vfio_info_cap_header header;
  uint32_t nr_areas;
  uint32_t reserved;
  struct vfio_region_sparse_mmap_area areas[];
};

#define VFIO_REGION_INFO_CAP_TYPE 2

struct vfio_region_info_cap_type {
  struct vfio_info_cap_header header;
  uint32_t type;
  uint32_t subtype;
};

#define VFIO_REGION_INFO_CAP_MSIX_MAPPABLE 3 /* a header alone: pages that hold the MSI-X table may be mapped too */

/* Regions of PCI functions. */
enum {
  VFIO_PCI_BAR0_REGION_INDEX,
  VFIO_PCI_BAR1_REGION_INDEX,
  VFIO_PCI_BAR2_REGION_INDEX,
  VFIO_PCI_BAR3_REGION_INDEX,
  VFIO_PCI_BAR4_REGION_INDEX,
  VFIO_PCI_BAR5_REGION_INDEX,
  VFIO_PCI_ROM_REGION_INDEX,
  VFIO_PCI_CONFIG_REGION_INDEX,
  VFIO_PCI_VGA_REGION_INDEX,
  VFIO_PCI_NUM_REGIONS
};

/* ---- VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS ---- */

#define VFIO_IRQ_INFO_EVENTFD (1 << 0)
#define VFIO_IRQ_INFO_MASKABLE (1 << 1)
#define VFIO_IRQ_INFO_AUTOMASKED (1 << 2)
#define VFIO_IRQ_INFO_NORESIZE (1 << 3) /* to use more vectors than were enabled at first, all have to be disabled first */

struct vfio_irq_info {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t count;
};

#define VFIO_IRQ_SET_DATA_NONE (1 << 0)
#define VFIO_IRQ_SET_DATA_BOOL (1 << 1)    /* uint8_t each */
#define VFIO_IRQ_SET_DATA_EVENTFD (1 << 2) /* int32_t each; -1 for none */
#define VFIO_IRQ_SET_ACTION_MASK (1 << 3)
#define VFIO_IRQ_SET_ACTION_UNMASK (1 << 4)
#define VFIO_IRQ_SET_ACTION_TRIGGER (1 << 5)
#define VFIO_IRQ_SET_DATA_TYPE_MASK (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define VFIO_IRQ_SET_ACTION_TYPE_MASK (VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

struct vfio_irq_set {
  uint32_t argsz;
  uint32_t flags;
  uint32_t index;
  uint32_t start;
  uint32_t count;
  uint8_t data[];
};

/* Interrupts of PCI functions. */
enum {
  VFIO_PCI_INTX_IRQ_INDEX,
  VFIO_PCI_MSI_IRQ_INDEX,
  VFIO_PCI_MSIX_IRQ_INDEX,
  VFIO_PCI_ERR_IRQ_INDEX,
  VFIO_PCI_REQ_IRQ_INDEX,
  VFIO_PCI_NUM_IRQS
};

/* ---- VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET ---- */

#define VFIO_PCI_DEVID_OWNED 0
#define VFIO_PCI_DEVID_NOT_OWNED (-1)

struct vfio_pci_dependent_device {
  union {
    uint32_t group_id;
    uint32_t devid; /* with VFIO_PCI_HOT_RESET_FLAG_DEV_ID: an id in the iommufd, or VFIO_PCI_DEVID_... */
  };
  uint16_t segment;
  uint8_t bus;
  uint8_t devfn;
};

#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID (1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)

struct vfio_pci_hot_reset_info {
  uint32_t argsz;
  uint32_t flags;
  uint32_t count;
  struct vfio_pci_dependent_device devices[];
};

struct vfio_pci_hot_reset {
  uint32_t argsz;
  uint32_t flags;
  uint32_t count;
  int32_t group_fds[];
};

/* ---- VFIO_DEVICE_IOEVENTFD ---- */

#define VFIO_DEVICE_IOEVENTFD_8 (1 << 0)
#define VFIO_DEVICE_IOEVENTFD_16 (1 << 1)
#define VFIO_DEVICE_IOEVENTFD_32 (1 << 2)
#define VFIO_DEVICE_IOEVENTFD_64 (1 << 3)
#define VFIO_DEVICE_IOEVENTFD_SIZE_MASK (0xf)

struct vfio_device_ioeventfd {
  uint32_t argsz;
  uint32_t flags;
  uint64_t offset; /* in the device's file */
  uint64_t data;
  int32_t fd; /* -1: take it back */
  uint32_t reserved;
};

/* ---- VFIO_DEVICE_FEATURE ---- */

#define VFIO_DEVICE_FEATURE_MASK (0xffff)
#define VFIO_DEVICE_FEATURE_GET (1 << 16)
#define VFIO_DEVICE_FEATURE_SET (1 << 17)
#define VFIO_DEVICE_FEATURE_PROBE (1 << 18)

struct vfio_device_feature {
  uint32_t argsz;
  uint32_t flags;
  uint8_t data[];
};

#define VFIO_DEVICE_FEATURE_PCI_VF_TOKEN 0
#define VFIO_DEVICE_FEATURE_MIGRATION 1
#define VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE 2
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY 3
#define VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP 4
#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT 5
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_START 6
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP 7
#define VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT 8
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
#define VFIO_DEVICE_FEATURE_BUS_MASTER 10
#define VFIO_DEVICE_FEATURE_DMA_BUF 11
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12

/* The data of VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP. */
struct vfio_device_low_power_entry_with_wakeup {
  int32_t wakeup_eventfd;
  uint32_t reserved;
};

/* ---- VFIO_DEVICE_BIND_IOMMUFD, VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_DETACH_IOMMUFD_PT ---- */

#define VFIO_DEVICE_BIND_FLAG_TOKEN (1 << 0)

struct vfio_device_bind_iommufd {
  uint32_t argsz;
  uint32_t flags;
  int32_t iommufd;
  uint32_t out_devid;
  uint64_t token_uuid_ptr; /* with VFIO_DEVICE_BIND_FLAG_TOKEN: where 16 bytes stand */
};

#define VFIO_DEVICE_ATTACH_PASID (1 << 0)

struct vfio_device_attach_iommufd_pt {
  uint32_t argsz;
  uint32_t flags;
  uint32_t pt_id; /* in: an IOAS or a HWPT; out: the HWPT */
  uint32_t pasid;
};

#define VFIO_DEVICE_DETACH_PASID (1 << 0)

struct vfio_device_detach_iommufd_pt {
  uint32_t argsz;
  uint32_t flags;
  uint32_t pasid;
};

#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#endif
#endif
