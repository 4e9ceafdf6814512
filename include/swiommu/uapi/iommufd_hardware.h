/* What differs from one hardware to the next in the ioctls of /dev/iommu: types, and the structures behind data_uptr. It is a
 * part of <swiommu/uapi/iommufd.h>, which includes it. */
#if !defined(_UAPI_IOMMUFD_H) && !defined(_IOMMUFD_H)
#include "swiommu/uapi/iommufd.h"
#elif defined(SWIOMMU_UAPI_IOMMUFD_H) && !defined(SWIOMMU_UAPI_IOMMUFD_HARDWARE_H)
#define SWIOMMU_UAPI_IOMMUFD_HARDWARE_H

#include <stdint.h>

/* ---- IOMMU_GET_HW_INFO ---- */

enum iommu_hw_info_type {
  IOMMU_HW_INFO_TYPE_NONE = 0,
  IOMMU_HW_INFO_TYPE_DEFAULT = 0,
  IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
  IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
  IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
  IOMMU_HW_INFO_TYPE_AMD = 4,
};

enum iommu_hw_info_vtd_flags {
  IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

struct iommu_hw_info_vtd {
  uint32_t flags; /* enum iommu_hw_info_vtd_flags */
  uint32_t __reserved;
  uint64_t cap_reg;
  uint64_t ecap_reg;
};

struct iommu_hw_info_arm_smmuv3 {
  uint32_t flags; /* 0 */
  uint32_t __reserved;
  uint32_t idr[6];
  uint32_t iidr;
  uint32_t aidr;
};

struct iommu_hw_info_tegra241_cmdqv {
  uint32_t flags; /* 0 */
  uint8_t version;
  uint8_t log2vcmdqs;
  uint8_t log2vsids;
  uint8_t __reserved;
};

struct iommu_hw_info_amd {
  uint64_t efr;
  uint64_t efr2;
};

/* ---- IOMMU_HWPT_ALLOC ---- */

enum iommu_hwpt_data_type {
  IOMMU_HWPT_DATA_NONE = 0,
  IOMMU_HWPT_DATA_VTD_S1 = 1,
  IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
  IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

enum iommu_hwpt_vtd_s1_flags {
  IOMMU_VTD_S1_SRE = 1 << 0,  /* supervisor requests */
  IOMMU_VTD_S1_EAFE = 1 << 1, /* extended accessed flags */
  IOMMU_VTD_S1_WPE = 1 << 2,  /* write protection holds for supervisor requests too */
};

struct iommu_hwpt_vtd_s1 {
  uint64_t flags; /* enum iommu_hwpt_vtd_s1_flags */
  uint64_t pgtbl_addr;
  uint32_t addr_width;
  uint32_t __reserved;
};

/* The first two words of the guest's stream table entry. */
struct iommu_hwpt_arm_smmuv3 {
  uint64_t ste[2]; /* little-endian */
};

/* The guest's device table entry. */
struct iommu_hwpt_amd_guest {
  uint64_t dte[4];
};

/* ---- IOMMU_HWPT_INVALIDATE ---- */

enum iommu_hwpt_invalidate_data_type {
  IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
  IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

enum iommu_hwpt_vtd_s1_invalidate_flags {
  IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0, /* only leaves changed */
};

struct iommu_hwpt_vtd_s1_invalidate {
  uint64_t addr;
  uint64_t npages; /* with addr 0 and npages ~0: all */
  uint32_t flags;  /* enum iommu_hwpt_vtd_s1_invalidate_flags */
  uint32_t __reserved;
};

/* A command of the guest's command queue. */
struct iommu_viommu_arm_smmuv3_invalidate {
  uint64_t cmd[2]; /* little-endian */
};

/* ---- IOMMU_VIOMMU_ALLOC, IOMMU_VEVENTQ_ALLOC, IOMMU_HW_QUEUE_ALLOC ---- */

enum iommu_viommu_type {
  IOMMU_VIOMMU_TYPE_DEFAULT = 0,
  IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
  IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/* What mmap takes for page 0 of the virtual interface. */
struct iommu_viommu_tegra241_cmdqv {
  uint64_t out_vintf_mmap_offset;
  uint64_t out_vintf_mmap_length;
};

enum iommu_veventq_type {
  IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
  IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
  IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/* A record of the event queue, with the guest's number for the stream. */
struct iommu_vevent_arm_smmuv3 {
  uint64_t evt[4]; /* little-endian */
};

struct iommu_vevent_tegra241_cmdqv {
  uint64_t lvcmdq_err_map[2]; /* little-endian */
};

enum iommu_hw_queue_type {
  IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
  IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

#endif
