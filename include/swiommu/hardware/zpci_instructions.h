/* What zPCI's instructions about I/O translation take and give. C as well as C++.
 *
 *   MPCIFC   modify PCI function controls: registers the anchor (IOTA) of a function, and clears its errors
 *   RPCIT    refresh PCI translations: an invalidation of a range of iovas
 *   STPCIFC  store PCI function controls: what MPCIFC has set
 *
 * There is no public manual. Numbers are those of Linux (arch/s390/include/asm/pci_insn.h) and QEMU
 * (include/hw/s390x/s390-pci-inst.h, s390-pci-bus.h); what they do is told in zpci_guest_function.h. */
#pragma once
#include <stdint.h>

/* Condition codes. */
enum swiommu_zpci_condition {
  SWIOMMU_ZPCI_OK = 0,
  SWIOMMU_ZPCI_ERROR = 1,          /* the status says why */
  SWIOMMU_ZPCI_BUSY = 2,           /* nothing is wrong: the guest tries again */
  SWIOMMU_ZPCI_INVALID_HANDLE = 3, /* no such function, or it is not enabled */
};

/* Operation controls of MPCIFC: bits 7:0 of its first operand. Those about interruptions (2, 3, 16, 17) and measurement (10)
 * have nothing to do with translation. */
enum swiommu_zpci_operation {
  SWIOMMU_ZPCI_REGISTER_IOAT = 4,
  SWIOMMU_ZPCI_DEREGISTER_IOAT = 5,
  SWIOMMU_ZPCI_REREGISTER_IOAT = 6,
  SWIOMMU_ZPCI_RESET_ERROR = 7, /* DMA goes on */
  SWIOMMU_ZPCI_RESET_BLOCK = 9, /* loads and stores go on */
};

/* Status codes, for condition code 1: bits 31:24 of the first operand. */
enum swiommu_zpci_status {
  SWIOMMU_ZPCI_IN_ERROR = 8,                /* RPCIT: this call has put the function into the error state */
  SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES = 16, /* RPCIT: Linux then refreshes all iovas of the function */
  SWIOMMU_ZPCI_SEQUENCE = 24,               /* MPCIFC: not in this state */
  SWIOMMU_ZPCI_INVALID_SPACE = 28,          /* MPCIFC, STPCIFC: there is no such DMA address space */
  SWIOMMU_ZPCI_ERROR_RECOVERY = 40,         /* RPCIT: the function is in the error state */
};

/* Program interruptions. */
enum swiommu_zpci_exception {
  SWIOMMU_ZPCI_OPERAND_EXCEPTION = 0x15,
};

/* Events that a function in error reports to the guest (PEC). */
enum swiommu_zpci_event {
  SWIOMMU_ZPCI_EVENT_NONE = 0,
  SWIOMMU_ZPCI_EVENT_INVALID_SPACE = 1,      /* no translation is registered */
  SWIOMMU_ZPCI_EVENT_OUT_OF_RANGE = 2,       /* below PBA or above PAL */
  SWIOMMU_ZPCI_EVENT_PROTECTION = 4,         /* not mapped, or not for this access */
  SWIOMMU_ZPCI_EVENT_ADDRESS_PROTECTION = 5, /* the page or a table is no memory of the guest */
  SWIOMMU_ZPCI_EVENT_TABLE_ENTRY = 7,        /* an entry that means nothing */
};

/* Function controls that STPCIFC shows. */
enum swiommu_zpci_controls {
  SWIOMMU_ZPCI_FC_ENABLED = 0x80,
  SWIOMMU_ZPCI_FC_ERROR = 0x40,      /* no DMA */
  SWIOMMU_ZPCI_FC_BLOCKED = 0x20,    /* no loads and stores */
  SWIOMMU_ZPCI_FC_REGISTERED = 0x10, /* a translation is */
};

/* The function information block, as it lies in guest memory: 80 bytes, big-endian. */
struct swiommu_zpci_fib {
  uint8_t format; /* 0 */
  uint8_t reserved1[7];
  uint8_t controls; /* enum swiommu_zpci_controls; written by STPCIFC only */
  uint8_t reserved2[7];
  uint64_t pba;              /* first iova; bits 11:0 are taken as 0 */
  uint64_t pal;              /* last iova; bits 11:0 are taken as 1 */
  uint64_t iota;             /* the anchor */
  uint64_t interruptions[3]; /* not looked at */
  uint64_t measurement;      /* not looked at */
  uint64_t reserved3;
};
