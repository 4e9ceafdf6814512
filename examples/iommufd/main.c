// Speaks to /dev/iommu as to Linux' own: nothing in here knows of swiommu but the header with the ABI, which could as well be
// <linux/iommufd.h>. Run it on a machine with an IOMMU and Linux 6.2 or newer, or anywhere:
//
//   swiommu run -- ./iommufd
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "swiommu/uapi/iommufd.h"

static void must(int result, char const* what) {
  if (result == 0) return;
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static uint32_t allocate_address_space(int fd) {
  struct iommu_ioas_alloc alloc = {.size = sizeof alloc};
  must(ioctl(fd, IOMMU_IOAS_ALLOC, &alloc), "IOMMU_IOAS_ALLOC");
  printf("I/O address space %u\n", alloc.out_ioas_id);
  return alloc.out_ioas_id;
}

static void print_iova_ranges(int fd, uint32_t ioas) {
  struct iommu_iova_range ranges[16];
  struct iommu_ioas_iova_ranges query = {
      .size = sizeof query, .ioas_id = ioas, .num_iovas = 16, .allowed_iovas = (uintptr_t)ranges};
  must(ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &query), "IOMMU_IOAS_IOVA_RANGES");
  for (uint32_t at = 0; at < query.num_iovas; at++)
    printf("  usable iovas  0x%" PRIx64 " to 0x%" PRIx64 "\n", (uint64_t)ranges[at].start, (uint64_t)ranges[at].last);
}

static int map(int fd, uint32_t ioas, void* memory, uint64_t length, uint64_t iova) {
  struct iommu_ioas_map arguments = {
      .size = sizeof arguments,
      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
      .ioas_id = ioas,
      .user_va = (uintptr_t)memory,
      .length = length,
      .iova = iova};
  return ioctl(fd, IOMMU_IOAS_MAP, &arguments);
}

static void unmap(int fd, uint32_t ioas, uint64_t iova, uint64_t length) {
  struct iommu_ioas_unmap arguments = {.size = sizeof arguments, .ioas_id = ioas, .iova = iova, .length = length};
  must(ioctl(fd, IOMMU_IOAS_UNMAP, &arguments), "IOMMU_IOAS_UNMAP");
  printf("  unmapped      0x%" PRIx64 " bytes at 0x%" PRIx64 "\n", (uint64_t)arguments.length, iova);
}

// A child has the descriptor too, and memory of its own to map.
static void map_in_child(int fd, uint32_t ioas, uint64_t length, uint64_t iova) {
  pid_t const child = fork();
  if (child == 0) {
    void* const memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) _exit(1);
    _exit(map(fd, ioas, memory, length, iova) == 0 ? 0 : 1);
  }
  int status = 1;
  must(child > 0 && waitpid(child, &status, 0) == child ? status : 1, "a child that maps");
  printf("  a child mapped 0x%" PRIx64 " bytes at 0x%" PRIx64 "\n", length, iova);
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  int const fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
  must(fd < 0, "/dev/iommu");
  uint32_t const ioas = allocate_address_space(fd);
  print_iova_ranges(fd, ioas);

  uint64_t const length = 4 << 20, iova = 0x10000000;
  void* const memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(memory == MAP_FAILED, "memory");
  must(map(fd, ioas, memory, length, iova), "IOMMU_IOAS_MAP");
  printf("  mapped        0x%" PRIx64 " bytes at 0x%" PRIx64 "\n", length, iova);

  if (map(fd, ioas, memory, length, iova + length / 2) != -1) must(-1, "what is mapped was mapped again");
  printf("  mapping over it fails: %s\n", strerror(errno));

  map_in_child(fd, ioas, length, iova + length);
  unmap(fd, ioas, iova, 2 * length);

  struct iommu_destroy destroy = {.size = sizeof destroy, .id = ioas};
  must(ioctl(fd, IOMMU_DESTROY, &destroy), "IOMMU_DESTROY");
  printf("destroyed\n");
  return close(fd);
}
