/* What the ioctls of /dev/iommu can do here and have no number for in Linux: types of the private range, and the structures that
 * they lead to. Names start with SWIOMMU_, so that none is ever Linux' own; programs that want to run on a kernel as well take
 * EOPNOTSUPP, which it answers for types that it does not know, for an answer.
 *
 * Rules of all structures: those of Linux' own. Reserved fields are 0. A data_len or entry_len that is less than the structure is
 * EINVAL, and so is one that is more, but for entries of vIOMMUs, which may be longer if the rest is 0 (E2BIG). All words are
 * little-endian. Addresses are guest addresses: inputs of the parent. */
#ifndef SWIOMMU_UAPI_IOMMUFD_PRIVATE_H
#define SWIOMMU_UAPI_IOMMUFD_PRIVATE_H

#include <stdint.h>

/* Types of Linux count up from 0; these lie far beyond. */
#define SWIOMMU_PRIVATE_TYPE(n) (0x53570000u + (n)) /* "SW" */

/* ---- IOMMU_HWPT_ALLOC: data_type ---- */

#define SWIOMMU_HWPT_DATA_RISCV SWIOMMU_PRIVATE_TYPE(1)
#define SWIOMMU_HWPT_DATA_ZPCI SWIOMMU_PRIVATE_TYPE(2)
#define SWIOMMU_HWPT_DATA_RAW SWIOMMU_PRIVATE_TYPE(3)

/* The guest's half of a device context of the RISC-V IOMMU (IOMMU specification 1.0, 3.1.3), on a vIOMMU of type
 * SWIOMMU_VIOMMU_TYPE_RISCV. The other half, iohgatp and msiptp, is the host's.
 *
 * Checked by IOMMU_HWPT_ALLOC. EINVAL: bits of `tc` or `ta` that a guest may not set, or a context that the specification calls
 * misconfigured for the capabilities of the hardware. With V = 0 nothing else is looked at, and all DMA faults. */
struct swiommu_hwpt_riscv {
  uint64_t tc;  /* V 0, DTF 4, PDTV 5, SADE 8, DPE 9, SBE 10 */
  uint64_t ta;  /* PSCID 31:12 */
  uint64_t fsc; /* iosatp, or with PDTV pdtp: the process directory, which is read through the parent */
};

/* What an s390 guest registers for a PCI function (MPCIFC), on a paging HWPT. Hardware that walks one table only: what the
 * guest's table and the parent say together is brought up to date by IOMMU_HWPT_INVALIDATE, and when the parent changes.
 *
 * Checked by IOMMU_HWPT_ALLOC. EINVAL: an anchor of a designation type, or with an origin, that leads to no table; PBA above PAL.
 */
struct swiommu_hwpt_zpci {
  uint64_t iota; /* I/O translation anchor */
  uint64_t pba;  /* first iova; bits 11:0 count as 0 */
  uint64_t pal;  /* last iova; bits 11:0 count as 1 */
};

enum swiommu_format {
  SWIOMMU_FORMAT_VTD_SECOND_STAGE = 0,
  SWIOMMU_FORMAT_X86_64 = 1,
  SWIOMMU_FORMAT_AMD_V1 = 2,
  SWIOMMU_FORMAT_ARM_STAGE1 = 3,
  SWIOMMU_FORMAT_ARM_STAGE2 = 4,
  SWIOMMU_FORMAT_RISCV = 5,
  SWIOMMU_FORMAT_RISCV_X4 = 6,
  SWIOMMU_FORMAT_S390_ZPCI = 7,
};

enum swiommu_raw_flags {
  SWIOMMU_RAW_BIG_ENDIAN = 1 << 0,    /* byte order of the table */
  SWIOMMU_RAW_ACCESSED = 1 << 1,      /* walks set accessed flags */
  SWIOMMU_RAW_DIRTY = 1 << 2,         /* walks set dirty flags */
  SWIOMMU_RAW_ZERO_EXTENDED = 1 << 3, /* X86_64: no canonical upper half */
  SWIOMMU_RAW_SHADOW = 1 << 4,        /* one composed table instead of a walk through two: as swiommu_hwpt_zpci */
};

/* A user page table of any format, for tools and tests; on a paging HWPT of any hardware that nests. Where a field is 0 the
 * format's usual value is meant.
 *
 * Checked by IOMMU_HWPT_ALLOC. EOPNOTSUPP: unknown flags, a reserved field. EINVAL: the format is none, or has no such
 * configuration. */
struct swiommu_hwpt_raw {
  uint32_t format; /* enum swiommu_format */
  uint32_t flags;  /* enum swiommu_raw_flags */
  uint64_t root;   /* address of the root table */
  uint8_t levels;  /* root included; s390: 2 segment, 3 region-third, 4, 5 region-first table */
  uint8_t granule_lg2;
  uint8_t input_bits;
  uint8_t output_bits;
  uint32_t __reserved;
  uint64_t memory_attributes; /* ARM_STAGE1: MAIR */
};

/* ---- IOMMU_VIOMMU_ALLOC: type, without data ---- */

/* Nested HWPTs on it are of IOMMU_HWPT_DATA_AMD_GUEST, which Linux 7.2 defines and cannot make. */
#define SWIOMMU_VIOMMU_TYPE_AMD SWIOMMU_PRIVATE_TYPE(1)
#define SWIOMMU_VIOMMU_TYPE_RISCV SWIOMMU_PRIVATE_TYPE(2)

/* ---- IOMMU_HWPT_INVALIDATE: data_type ---- */

#define SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD SWIOMMU_PRIVATE_TYPE(1)
#define SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV SWIOMMU_PRIVATE_TYPE(2)
#define SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI SWIOMMU_PRIVATE_TYPE(3)
#define SWIOMMU_HWPT_INVALIDATE_DATA_RAW SWIOMMU_PRIVATE_TYPE(4)

/* A command of the guest's command buffer (48882, 2.4), as the guest wrote it: INVALIDATE_DEVTAB_ENTRY, INVALIDATE_IOMMU_PAGES,
 * INVALIDATE_IOTLB_PAGES, INVALIDATE_IOMMU_ALL. DeviceIDs are virt_ids of vDEVICEs, DomainIDs those of the guest's device table
 * entries. EIO: another command, or a DeviceID that no vDEVICE has. */
struct swiommu_viommu_amd_invalidate {
  uint64_t cmd[2];
};

/* A command of the guest's command queue (IOMMU specification 1.0, 4.1), as the guest wrote it: IOTINVAL.VMA, IODIR.INVAL_DDT,
 * IODIR.INVAL_PDT. DIDs are virt_ids of vDEVICEs; GSCID is not looked at. EIO: another command, or a DID that no vDEVICE has. */
struct swiommu_viommu_riscv_invalidate {
  uint64_t cmd[2];
};

/* RPCIT: the translations of these iovas have changed, from invalid to valid included. EINVAL: not whole pages of 4 KiB, none, or
 * beyond the end of the space. ENOMEM, E2BIG: the guest's table says more than can be taken in; these iovas, or all, are not
 * translated until a refresh succeeds. */
struct swiommu_hwpt_zpci_invalidate {
  uint64_t start;
  uint64_t length; /* with start 0 and length ~0: all */
};

/* The user page table has changed for these iovas. EINVAL: `last` is below `start`. With SWIOMMU_RAW_SHADOW also ENOMEM, E2BIG.
 */
struct swiommu_hwpt_raw_invalidate {
  uint64_t start;
  uint64_t last; /* inclusive */
};

#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
static_assert(sizeof(struct swiommu_hwpt_riscv) == 24, "");
static_assert(sizeof(struct swiommu_hwpt_zpci) == 24, "");
static_assert(sizeof(struct swiommu_hwpt_raw) == 32, "");
static_assert(sizeof(struct swiommu_viommu_amd_invalidate) == 16, "");
static_assert(sizeof(struct swiommu_viommu_riscv_invalidate) == 16, "");
static_assert(sizeof(struct swiommu_hwpt_zpci_invalidate) == 16, "");
static_assert(sizeof(struct swiommu_hwpt_raw_invalidate) == 16, "");
#endif

#endif
