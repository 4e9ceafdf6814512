#include "trap_thread.h"

#include <stdio.h>
#include <string.h>

/* ---- The trap handler: the guest has executed one of zPCI's instructions. ---- */

static struct swiommu_zpci_answer intercept_mpcifc(struct machine const* machine, uint64_t operand, uint64_t fib_address) {
  struct swiommu_zpci_call call = {{0}};
  struct swiommu_zpci_fib fib; /* a copy: the guest may change its own meanwhile */
  struct swiommu_zpci_answer answer;
  memcpy(&fib, machine->memory + fib_address, sizeof fib);
  do answer = swiommu_zpci_mpcifc(machine->function, operand, &fib, &call);
  while (answer.outcome == SWIOMMU_ZPCI_AGAIN); /* a hypervisor looks here whether it has to do something else */
  return answer;
}

static struct swiommu_zpci_answer intercept_rpcit(struct machine const* machine, uint64_t operand, uint64_t start,
                                                  uint64_t length) {
  struct swiommu_zpci_call call = {{0}};
  struct swiommu_zpci_answer answer;
  do answer = swiommu_zpci_rpcit(machine->function, operand, start, length, &call);
  while (answer.outcome == SWIOMMU_ZPCI_AGAIN);
  return answer;
}

/* ---- The guest: a driver that maps two pages, has them copied, and takes one away. ---- */

enum {
  fib_address = 0x1000,
  region_table = 0x10000, /* 16 KiB; so is the next */
  segment_table = 0x14000,
  page_table = 0x18000,
  source = 0x20000,
  destination = 0x21000,
};
static uint64_t const handle = (uint64_t)0x80000001 << 32, dma_start = (uint64_t)1 << 32;

/* s390 is big-endian. */
static void store(struct machine const* machine, uint64_t address, uint64_t word) {
  for (int byte = 7; byte >= 0; byte--, word >>= 8) machine->memory[address + (uint64_t)byte] = (unsigned char)word;
}

static void map(struct machine const* machine, unsigned page, uint64_t entry) { store(machine, page_table + page * 8, entry); }

static int expect(char const* what, struct swiommu_zpci_answer answer) {
  printf("%-28s cc %u, status %u\n", what, answer.condition_code, answer.status);
  return answer.outcome == SWIOMMU_ZPCI_DONE && answer.condition_code == SWIOMMU_ZPCI_OK;
}

static void write_tables(struct machine const* machine) {
  for (uint64_t n = 0; n < 2048; n++) {
    store(machine, region_table + n * 8, 0x20); /* nothing */
    store(machine, segment_table + n * 8, 0x20);
  }
  for (unsigned page = 0; page < 256; page++) map(machine, page, 0x400);
  store(machine, region_table + (dma_start >> 31) * 8, segment_table | 7);
  store(machine, segment_table, page_table);
  map(machine, 0, source);
  map(machine, 1, destination);
  store(machine, fib_address + 16, dma_start);            /* PBA */
  store(machine, fib_address + 24, dma_start + 0xfffff);  /* PAL */
  store(machine, fib_address + 32, region_table | 0x804); /* the anchor: region-third table, translation enabled */
}

int run_guest(struct machine const* machine) {
  static char const message[] = "hello from the device";
  write_tables(machine);
  if (!expect("MPCIFC, register", intercept_mpcifc(machine, handle | SWIOMMU_ZPCI_REGISTER_IOAT, fib_address))) return 1;
  memcpy(machine->memory + source + 0x10, message, sizeof message);
  if (machine->copy(machine->device, dma_start + 0x10, dma_start + 0x1020, sizeof message) != 0) return 1;
  printf("copied through both levels: \"%s\"\n", (char const*)machine->memory + destination + 0x20);
  if (memcmp(machine->memory + destination + 0x20, message, sizeof message) != 0) return 1;

  map(machine, 2, source);
  if (!expect("RPCIT, one page more", intercept_rpcit(machine, handle, dma_start + 0x2000, 0x1000))) return 1;
  if (machine->copy(machine->device, dma_start + 0x2010, dma_start + 0x1080, sizeof message) != 0) return 1;

  map(machine, 0, 0x400);
  if (!expect("RPCIT, one page less", intercept_rpcit(machine, handle, dma_start, 0x1000))) return 1;
  if (machine->copy(machine->device, dma_start + 0x10, dma_start + 0x1020, sizeof message) == 0) return 1;
  if (swiommu_zpci_takes_loads(machine->function)) return 1; /* the fault has stopped the function */
  if (!expect("MPCIFC, reset error", intercept_mpcifc(machine, handle | SWIOMMU_ZPCI_RESET_ERROR, fib_address))) return 1;
  if (machine->copy(machine->device, dma_start + 0x2010, dma_start + 0x1020, sizeof message) != 0) return 1;
  if (!expect("MPCIFC, deregister", intercept_mpcifc(machine, handle | SWIOMMU_ZPCI_DEREGISTER_IOAT, fib_address))) return 1;
  return machine->copy(machine->device, dma_start + 0x2010, dma_start + 0x1020, sizeof message) == 0;
}
