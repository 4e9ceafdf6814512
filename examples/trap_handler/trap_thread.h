/* The trap handler and the guest that it serves, in C. */
#pragma once
#include <stddef.h>
#include <swiommu/hardware/zpci_intercepts.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the guest's script may do: execute an instruction, or have the device copy `length` bytes of DMA. */
struct machine {
  struct swiommu_zpci_function* function;
  unsigned char* memory; /* of the guest: address 0 */
  void* device;
  int (*copy)(void* device, uint64_t from, uint64_t to, size_t length); /* 0: done */
};

/* Runs the guest to its end. 0: all went as it should. */
int run_guest(struct machine const* machine);

#ifdef __cplusplus
}
#endif
