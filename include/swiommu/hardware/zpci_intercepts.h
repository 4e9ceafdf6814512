/* zPCI's instructions as a hypervisor's trap handler serves them, in C: one entry point an instruction, over a function that was
 * made in C++ (intercepts() in zpci_guest_function.h).
 *
 * Every entry point does a limited amount of work and returns. It takes no lock that is held while memory is mapped, pinned or
 * waited for by a VMM's ioctls, and holds none when it returns. An RPCIT over iovas whose mappings have not changed
 * allocates nothing.
 *
 * MPCIFC and RPCIT may have more to do than one call does. They say SWIOMMU_ZPCI_AGAIN, and are called again with the same
 * arguments until they say something else; the guest's processor stays at the instruction meanwhile. How far they have
 * come is in `struct swiommu_zpci_call`, which belongs to the caller, one for each processor of the guest, and is all zeros at
 * the start of an instruction. The instructions themselves cannot be left half done: Linux does not expect its operands to
 * change. A handler that cannot stay answers condition code 2 (busy), and forgets the call: the guest starts anew.
 *
 * Threads: any, any number at a time. Not inside a DMA guard (device/port.h): the answer is "busy" then. Neither the function nor
 * the call may be null. */
#pragma once
#include "swiommu/hardware/zpci_instructions.h"

#ifdef __cplusplus
extern "C" {
#endif

struct swiommu_zpci_function;

enum swiommu_zpci_outcome {
  SWIOMMU_ZPCI_DONE = 0,      /* condition_code and status are the answer */
  SWIOMMU_ZPCI_AGAIN = 1,     /* call once more */
  SWIOMMU_ZPCI_EXCEPTION = 2, /* a program interruption instead of an answer: `exception` */
  SWIOMMU_ZPCI_ELSEWHERE = 3, /* MPCIFC is about interruptions or measurement: the caller's own business */
};

struct swiommu_zpci_answer {
  uint8_t outcome;        /* enum swiommu_zpci_outcome */
  uint8_t condition_code; /* enum swiommu_zpci_condition */
  uint8_t status;         /* enum swiommu_zpci_status; 0 unless the condition code is 1 */
  uint8_t reserved;
  uint16_t exception;     /* enum swiommu_zpci_exception */
  uint16_t event;         /* enum swiommu_zpci_event: the function has entered the error state, which the guest is to be told */
  uint64_t event_address; /* the iova that it is about */
};

struct swiommu_zpci_call {
  uint64_t progress[10]; /* opaque */
};

/* MPCIFC: `operand` is the first one (function handle in bits 63:32, DMA address space in 23:16, operation in 7:0), `fib` a copy
 * of the block that the second one names. */
struct swiommu_zpci_answer swiommu_zpci_mpcifc(struct swiommu_zpci_function* function, uint64_t operand,
                                               struct swiommu_zpci_fib const* fib, struct swiommu_zpci_call* call);

/* RPCIT: `operand` is the first one (function handle in bits 63:32); `start` and `length` in bytes. */
struct swiommu_zpci_answer swiommu_zpci_rpcit(struct swiommu_zpci_function* function, uint64_t operand, uint64_t start,
                                              uint64_t length, struct swiommu_zpci_call* call);

/* STPCIFC: `fib` is what is to be written to guest memory if the condition code is 0. */
struct swiommu_zpci_answer swiommu_zpci_stpcifc(struct swiommu_zpci_function* function, uint64_t operand,
                                                struct swiommu_zpci_fib* fib);

/* May PCI loads and stores reach the function? 0: they are answered with condition code 1 and status 12, or with condition code 3
 * if the function is not enabled. */
int swiommu_zpci_takes_loads(struct swiommu_zpci_function* function);

#ifdef __cplusplus
}
#endif
