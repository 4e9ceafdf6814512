/* A user-space NVMe driver that knows VFIO and NVMe, and nothing else: finds a function by its address, maps its registers and
 * memory for its DMA, writes and reads the namespace at random with as many commands in flight as it is told, and says how fast
 * that was.
 *
 *   swiommu run --device nvme:disk.img,size=256M -- ./nvme-driver [--nested] [--miss] [--depth N] [--commands N] [ADDRESS]
 *
 * With --nested the DMA goes through an I/O page table of the driver's own (VT-d first stage, 1:1), on top of what it maps. With
 * --miss one command more has an address that nothing is mapped at: `swiommu run --log FILE` says why it fails. Contents are
 * checked: each block of 4 KiB is written with its number, and a second time from where it was read to. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <swiommu/uapi/iommufd.h>
#include <swiommu/uapi/vfio.h>

enum { page = 4096, queue_entries = 256, block_bytes = 4096, memory_bytes = 4 << 20 };

/* What of the memory is for what, as iovas too: the driver maps it 1:1 from iova 0x100000000 on. */
#define FIRST_IOVA 0x100000000ull
enum {
  admin_submissions = 0,
  admin_completions = page,
  submissions = 2 * page,
  completions = 2 * page + queue_entries * 64,
  identification = 16 * page,
  page_tables = 32 * page,
  buffers = 128 * page,
};

static _Noreturn void give_up(char const* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("nvme-driver: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  exit(1);
}

static void check(int result, char const* what) {
  if (result < 0) give_up("%s: %m", what);
}

struct queue {
  uint64_t* entries;              /* of 64 bytes */
  volatile uint32_t* completions; /* of 16 bytes */
  unsigned number, size, tail, head, phase;
};

struct device {
  int iommu, file;
  uint32_t id, nesting_parent;
  uint8_t volatile* registers;
  uint8_t* memory;
  struct queue admin, io;
  uint64_t blocks; /* of block_bytes */
  unsigned sector_lg2;
};

static uint64_t iova(size_t offset) { return FIRST_IOVA + offset; }

static void write32(struct device* d, size_t at, uint32_t value) {
  __atomic_store_n((uint32_t volatile*)(d->registers + at), value, __ATOMIC_RELEASE);
}
static void write64(struct device* d, size_t at, uint64_t value) {
  __atomic_store_n((uint64_t volatile*)(d->registers + at), value, __ATOMIC_RELEASE);
}
static uint32_t read32(struct device* d, size_t at) {
  return __atomic_load_n((uint32_t volatile*)(d->registers + at), __ATOMIC_ACQUIRE);
}

/* ---- VFIO ---- */

static void open_device(struct device* d, char const* address) {
  char path[512];
  snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/vfio-dev", address);
  DIR* const folder = opendir(path);
  if (folder == NULL) give_up("%s: %m", path);
  struct dirent const* entry;
  while ((entry = readdir(folder)) != NULL && strncmp(entry->d_name, "vfio", 4) != 0) continue;
  if (entry == NULL) give_up("%s has no device", path);
  snprintf(path, sizeof path, "/dev/vfio/devices/%s", entry->d_name);
  closedir(folder);
  check(d->iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC), "/dev/iommu");
  check(d->file = open(path, O_RDWR | O_CLOEXEC), path);
  struct vfio_device_bind_iommufd bind = {.argsz = sizeof bind, .iommufd = d->iommu};
  check(ioctl(d->file, VFIO_DEVICE_BIND_IOMMUFD, &bind), "VFIO_DEVICE_BIND_IOMMUFD");
  d->id = bind.out_devid;
}

static void attach(struct device* d, uint32_t page_table) {
  struct vfio_device_attach_iommufd_pt arguments = {.argsz = sizeof arguments, .pt_id = page_table};
  check(ioctl(d->file, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arguments), "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

static void map_memory(struct device* d) {
  d->memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (d->memory == MAP_FAILED) give_up("memory: %m");
  struct iommu_ioas_alloc alloc = {.size = sizeof alloc};
  check(ioctl(d->iommu, IOMMU_IOAS_ALLOC, &alloc), "IOMMU_IOAS_ALLOC");
  struct iommu_hwpt_alloc parent = {
      .size = sizeof parent, .flags = IOMMU_HWPT_ALLOC_NEST_PARENT, .dev_id = d->id, .pt_id = alloc.out_ioas_id};
  check(ioctl(d->iommu, IOMMU_HWPT_ALLOC, &parent), "IOMMU_HWPT_ALLOC");
  d->nesting_parent = parent.out_hwpt_id;
  struct iommu_ioas_map map = {.size = sizeof map,
                               .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
                               .ioas_id = alloc.out_ioas_id,
                               .user_va = (uintptr_t)d->memory,
                               .length = memory_bytes,
                               .iova = FIRST_IOVA};
  check(ioctl(d->iommu, IOMMU_IOAS_MAP, &map), "IOMMU_IOAS_MAP");
  attach(d, d->nesting_parent);
}

/* Tables of four levels, 1:1 for all of the memory. */
static void nest(struct device* d) {
  uint64_t* const tables = (uint64_t*)(d->memory + page_tables);
  size_t used = 1;
  for (uint64_t at = FIRST_IOVA; at < FIRST_IOVA + memory_bytes; at += page) {
    size_t table = 0;
    for (int shift = 39; shift > 12; shift -= 9) {
      uint64_t* const entry = tables + table * 512 + (at >> shift & 511);
      if (*entry == 0) *entry = iova(page_tables + used++ * page) | 7;
      table = ((*entry & ~0xfffull) - iova(page_tables)) / page;
    }
    tables[table * 512 + (at >> 12 & 511)] = at | 7;
  }
  struct iommu_hwpt_vtd_s1 table = {.pgtbl_addr = iova(page_tables), .addr_width = 48};
  struct iommu_hwpt_alloc alloc = {.size = sizeof alloc,
                                   .dev_id = d->id,
                                   .pt_id = d->nesting_parent,
                                   .data_type = IOMMU_HWPT_DATA_VTD_S1,
                                   .data_len = sizeof table,
                                   .data_uptr = (uintptr_t)&table};
  check(ioctl(d->iommu, IOMMU_HWPT_ALLOC, &alloc), "IOMMU_HWPT_ALLOC (nested)");
  attach(d, alloc.out_hwpt_id);
}

static void map_registers(struct device* d) {
  struct vfio_region_info bar = {.argsz = sizeof bar, .index = VFIO_PCI_BAR0_REGION_INDEX};
  check(ioctl(d->file, VFIO_DEVICE_GET_REGION_INFO, &bar), "VFIO_DEVICE_GET_REGION_INFO");
  struct vfio_region_info configuration = {.argsz = sizeof configuration, .index = VFIO_PCI_CONFIG_REGION_INDEX};
  check(ioctl(d->file, VFIO_DEVICE_GET_REGION_INFO, &configuration), "VFIO_DEVICE_GET_REGION_INFO");
  uint16_t const command = 0x6; /* memory and bus mastering */
  if (pwrite(d->file, &command, sizeof command, (off_t)configuration.offset + 4) != sizeof command)
    give_up("configuration space: %m");
  d->registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, d->file, (off_t)bar.offset);
  if (d->registers == MAP_FAILED) give_up("BAR 0: %m");
}

/* ---- NVMe (NVM Express 1.4) ---- */

/* Puts a command into a queue, without ringing; the words are those of the submission queue entry. */
static void submit(struct queue* q, uint16_t id, uint8_t opcode, uint32_t space, uint64_t prp1, uint32_t const words[6]) {
  uint64_t* const entry = q->entries + q->tail * 8;
  memset(entry, 0, 64);
  entry[0] = opcode | (uint64_t)id << 16 | (uint64_t)space << 32;
  entry[3] = prp1;
  memcpy(entry + 5, words, 24);
  q->tail = (q->tail + 1) % q->size;
}

static void ring(struct device* d, struct queue* q) { write32(d, 0x1000 + q->number * 8, q->tail); }

/* The id of a command that has ended, or -1: none has. */
static int end_of_one(struct device* d, struct queue* q, uint32_t* status) {
  volatile uint32_t* const entry = q->completions + q->head * 4;
  uint32_t const last = __atomic_load_n(entry + 3, __ATOMIC_ACQUIRE);
  if ((last >> 16 & 1) != q->phase) return -1;
  *status = last >> 17;
  q->head = (q->head + 1) % q->size;
  if (q->head == 0) q->phase ^= 1;
  write32(d, 0x1000 + q->number * 8 + 4, q->head);
  return (int)(last & 0xffff);
}

/* The same where each has to succeed. */
static int complete(struct device* d, struct queue* q) {
  uint32_t status = 0;
  int const id = end_of_one(d, q, &status);
  if (status != 0) give_up("command %d of queue %u: status %#x", id, q->number, status);
  return id;
}

static void run(struct device* d, uint8_t opcode, uint32_t space, uint64_t prp1, uint32_t const words[6]) {
  submit(&d->admin, 0, opcode, space, prp1, words);
  ring(d, &d->admin);
  while (complete(d, &d->admin) < 0) sched_yield();
}

static struct queue make_queue(struct device* d, unsigned number, size_t entries, size_t ends, unsigned size) {
  return (struct queue){.entries = (uint64_t*)(d->memory + entries),
                        .completions = (volatile uint32_t*)(d->memory + ends),
                        .number = number,
                        .size = size,
                        .phase = 1};
}

static void start(struct device* d) {
  write32(d, 0x14, 0);
  while ((read32(d, 0x1c) & 1) != 0) sched_yield();
  d->admin = make_queue(d, 0, admin_submissions, admin_completions, 32);
  write32(d, 0x24, 31 << 16 | 31);
  write64(d, 0x28, iova(admin_submissions));
  write64(d, 0x30, iova(admin_completions));
  write32(d, 0x14, 4 << 20 | 6 << 16 | 1);
  while ((read32(d, 0x1c) & 1) == 0) sched_yield();

  run(d, 0x06, 1, iova(identification), (uint32_t[6]){0}); /* Identify: namespace 1 */
  uint8_t const* const about = d->memory + identification;
  uint64_t sectors;
  memcpy(&sectors, about, sizeof sectors);
  d->sector_lg2 = about[128 + 4 * (about[26] & 15) + 2];
  d->blocks = sectors << d->sector_lg2 >> 12;
  if (d->blocks == 0) give_up("the namespace is smaller than a block of %d bytes", block_bytes);
  d->io = make_queue(d, 1, submissions, completions, queue_entries);
  run(d, 0x05, 0, iova(completions), (uint32_t[6]){(queue_entries - 1) << 16 | 1, 1}); /* Create I/O Completion Queue */
  run(d, 0x01, 0, iova(submissions), (uint32_t[6]){(queue_entries - 1) << 16 | 1, 1 << 16 | 1});
}

/* ---- what it is all for ---- */

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t scattered(uint64_t n, uint64_t blocks) { return n * 0x9e3779b97f4a7c15ull % blocks; }

static void transfer(struct device* d, uint16_t slot, int writing, uint64_t block) {
  uint64_t const sector = block << 12 >> d->sector_lg2;
  submit(&d->io, slot, writing ? 1 : 2, 1, iova(buffers + (size_t)slot * block_bytes),
         (uint32_t[6]){(uint32_t)sector, (uint32_t)(sector >> 32), (block_bytes >> d->sector_lg2) - 1});
}

/* Keeps `depth` commands in flight until `commands` have ended. */
static void measure(struct device* d, int writing, unsigned depth, uint64_t commands) {
  uint64_t begun[queue_entries], blocks[queue_entries], sent = 0, ended = 0, waited = 0;
  uint64_t const start_time = now();
  unsigned free_slots[queue_entries], free_count = 0;
  for (unsigned n = 0; n < depth; n++) free_slots[free_count++] = n;
  while (ended < commands) {
    unsigned const before = d->io.tail;
    while (free_count > 0 && sent < commands) {
      unsigned const slot = free_slots[--free_count];
      uint64_t* const buffer = (uint64_t*)(d->memory + buffers + (size_t)slot * block_bytes);
      blocks[slot] = scattered(sent++, d->blocks);
      buffer[0] = buffer[511] = writing ? blocks[slot] : ~0ull;
      begun[slot] = now();
      transfer(d, (uint16_t)slot, writing, blocks[slot]);
    }
    if (d->io.tail != before) ring(d, &d->io);
    int const slot = complete(d, &d->io);
    if (slot < 0) {
      sched_yield();
      continue;
    }
    uint64_t const* const buffer = (uint64_t*)(d->memory + buffers + (size_t)slot * block_bytes);
    if (buffer[0] != blocks[slot] || buffer[511] != blocks[slot])
      give_up("block %llu holds %llu", (unsigned long long)blocks[slot], (unsigned long long)buffer[0]);
    waited += now() - begun[slot];
    free_slots[free_count++] = (unsigned)slot;
    ended++;
  }
  double const seconds = (double)(now() - start_time) / 1e9;
  printf("%-6s depth %3u: %8.0f commands/s, %7.1f MiB/s, %6.1f us each\n", writing ? "write" : "read", depth,
         (double)commands / seconds, (double)(commands * block_bytes) / seconds / 1048576,
         (double)waited / (double)commands / 1e3);
}

/* Reads a block to where nothing is mapped: the command fails, and nothing else happens. */
static void miss(struct device* d) {
  uint8_t* const copy = malloc(memory_bytes);
  if (copy == NULL) give_up("memory: %m");
  memcpy(copy, d->memory, memory_bytes);
  submit(&d->io, 7, 2, 1, FIRST_IOVA + memory_bytes, (uint32_t[6]){0, 0, (block_bytes >> d->sector_lg2) - 1});
  ring(d, &d->io);
  uint32_t status = 0;
  while (end_of_one(d, &d->io, &status) < 0) sched_yield();
  if ((status & 0x7ff) != 0x4) give_up("a read to nowhere: status %#x, not Data Transfer Error", status);
  if (memcmp(copy + page_tables, d->memory + page_tables, memory_bytes - page_tables) != 0) give_up("memory has changed");
  free(copy);
  puts("a read to where nothing is mapped: Data Transfer Error");
}

static uint64_t number(char const* text, uint64_t most) {
  char* end = NULL;
  uint64_t const value = text == NULL ? 0 : strtoull(text, &end, 10);
  if (value == 0 || value > most || *end != 0) give_up("'%s' is not a number from 1 to %llu", text, (unsigned long long)most);
  return value;
}

int main(int argc, char** argv) {
  char const* address = "0000:01:00.0";
  int nested = 0, missing = 0;
  unsigned depth = 32;
  uint64_t commands = 20000;
  for (int n = 1; n < argc; n++) {
    if (strcmp(argv[n], "--nested") == 0)
      nested = 1;
    else if (strcmp(argv[n], "--miss") == 0)
      missing = 1;
    else if (strcmp(argv[n], "--depth") == 0)
      depth = (unsigned)number(argv[++n], queue_entries - 1);
    else if (strcmp(argv[n], "--commands") == 0)
      commands = number(argv[++n], 1000000000);
    else if (argv[n][0] != '-')
      address = argv[n];
    else
      give_up("there is no option %s; there are --nested, --miss, --depth, --commands", argv[n]);
  }
  struct device d = {0};
  open_device(&d, address);
  map_memory(&d);
  if (nested) nest(&d);
  map_registers(&d);
  start(&d);
  printf("%s: %llu MiB, DMA %s\n", address, (unsigned long long)(d.blocks >> 8),
         nested ? "through a page table of the driver's own" : "through what it has mapped");
  measure(&d, 1, depth, commands);
  measure(&d, 0, depth, commands);
  measure(&d, 0, 1, commands / 10 + 1);
  if (missing) miss(&d);
  write32(&d, 0x14, 0);
  return 0;
}
