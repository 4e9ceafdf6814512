// What a program does to memory that it has pinned: the device goes on with the pages that it had, and never reaches what lies in
// their place. Run with the profile of the kernel's selftests, whose test ioctl has a device.
#include "check.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

enum { page = 4096, pages = 64, length = pages * page, iova = 0x1000000 };

struct test_command {
  uint32_t size, operation, id, reserved;
  union {
    struct {
      uint32_t device, hwpt, idevice;
    } mock_domain;
    struct {
      uint32_t descriptor, flags;
    } create_access;
    struct {
      uint64_t iova, length, address;
      uint32_t flags;
    } transfer;
    uint64_t words[6];
  };
  uint32_t last;
};
enum { mock_domain = 2, create_access = 5, access_transfer = 8 };

static int iommu, access_fd;
static uint32_t ioas;

static int test(struct test_command* command, uint32_t operation, uint32_t id) {
  command->size = 68;
  command->operation = operation;
  command->id = id;
  return ioctl(iommu, _IO(';', 0xa0), command) == 0 ? 0 : errno;
}

static void set_up(void) {
  iommu = open_iommu();
  struct iommu_ioas_alloc alloc = {.size = sizeof alloc};
  CHECK(ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc) == 0);
  ioas = alloc.out_ioas_id;
  struct test_command command;
  memset(&command, 0, sizeof command);
  CHECK(test(&command, mock_domain, ioas) == 0);
  memset(&command, 0, sizeof command);
  CHECK(test(&command, create_access, ioas) == 0);
  access_fd = (int)command.create_access.descriptor;
}

static int transfer(unsigned n, void* buffer, uint32_t write) {
  struct test_command command;
  memset(&command, 0, sizeof command);
  command.transfer.iova = iova + (uint64_t)n * page;
  command.transfer.length = page;
  command.transfer.address = (uintptr_t)buffer;
  command.transfer.flags = write;
  return test(&command, access_transfer, (uint32_t)access_fd);
}

static void pin(void* data) {
  struct iommu_ioas_map map = {.size = sizeof map,
                               .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
                               .ioas_id = ioas,
                               .user_va = (uintptr_t)data,
                               .length = length,
                               .iova = iova};
  CHECK(ioctl(iommu, IOMMU_IOAS_MAP, &map) == 0);
}

static void unpin(void) {
  struct iommu_ioas_unmap unmap = {.size = sizeof unmap, .ioas_id = ioas, .iova = iova, .length = length};
  CHECK(ioctl(iommu, IOMMU_IOAS_UNMAP, &unmap) == 0);
}

static void fill_pages(unsigned char* data, unsigned count, int what) {
  for (unsigned n = 0; n < count; n++) memset(data + n * page, what + (int)n, page);
}
static void fill(unsigned char* data, int what) { fill_pages(data, pages, what); }

static int holds(unsigned char const* data, unsigned n, int what) {
  for (unsigned at = 0; at < page; at++)
    if (data[at] != (unsigned char)(what + (int)n)) return 0;
  return 1;
}

static int device_sees(unsigned n, int what) {
  static unsigned char buffer[page];
  return transfer(n, buffer, 0) == 0 && holds(buffer, n, what);
}

static int device_writes(unsigned n, int what) {
  static unsigned char buffer[page];
  memset(buffer, what + (int)n, page);
  return transfer(n, buffer, 1) == 0;
}

static int device_faults(unsigned n) {
  static unsigned char buffer[page];
  return transfer(n, buffer, 0) == EFAULT && transfer(n, buffer, 1) == EFAULT;
}

// The device has what it had and writes to that; `data`, if there is any by now, is not touched.
static void expect_apart(unsigned char* data) {
  for (unsigned n = 0; n < pages; n++) CHECK(device_sees(n, 1));
  if (data != NULL) fill(data, 100);
  for (unsigned n = 0; n < pages; n++) {
    CHECK(device_sees(n, 1));
    CHECK(device_writes(n, 50));
  }
  for (unsigned n = 0; n < pages; n++) {
    CHECK(device_sees(n, 50));
    if (data != NULL) CHECK(holds(data + n * page, n, 100));
  }
}

static unsigned char* new_mapping(int flags, int fd) {
  unsigned char* const data = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);
  CHECK(data != MAP_FAILED);
  fill(data, 1);
  return data;
}

static void unmapped(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(munmap(data, length) == 0);
  expect_apart(NULL);
  unpin();
  CHECK(device_faults(0) || transfer(0, (unsigned char[page]){0}, 0) == ENOENT);
}

static void unmapped_by_number(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(syscall(SYS_munmap, data, (size_t)length) == 0);
  expect_apart(NULL);
  unpin();
}

static void mapped_over(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(mmap(data, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == data);
  expect_apart(data);
  unpin();
  CHECK(munmap(data, length) == 0);
}

// A call that fails takes nothing away.
static void not_mapped_over(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(mmap(data, length, PROT_READ, MAP_SHARED | MAP_FIXED, 999, 0) == MAP_FAILED && errno == EBADF);
  CHECK(holds(data, 0, 1));
  CHECK(device_writes(3, 7) && holds(data + 3 * page, 3, 7));
  CHECK(munmap(data + 1, length) == -1 && errno == EINVAL);
  CHECK(holds(data, 0, 1) && device_sees(0, 1));
  unpin();
  CHECK(munmap(data, length) == 0);
}

// The first address in an allocated chunk that the device can map: its pages are of 2 KiB.
static unsigned char* in_chunk(void* chunk) { return (unsigned char*)(((uintptr_t)chunk + 2047) & ~(uintptr_t)2047); }

enum { chunk_length = length + page };

// What comes next from the allocator most likely lies where the first block was.
static void freed(size_t alignment) {
  void* chunk = alignment == 0 ? malloc(chunk_length) : memalign(alignment, chunk_length);
  CHECK(chunk != NULL);
  fill(in_chunk(chunk), 1);
  pin(in_chunk(chunk));
  free(chunk);
  chunk = alignment == 0 ? malloc(chunk_length) : memalign(alignment, chunk_length);
  CHECK(chunk != NULL);
  expect_apart(in_chunk(chunk));
  unpin();
  free(chunk);
}

static void reallocated(void) {
  unsigned char* const chunk = malloc(chunk_length);
  CHECK(chunk != NULL);
  size_t const lead = (size_t)(in_chunk(chunk) - chunk);
  fill(chunk + lead, 1);
  pin(chunk + lead);
  unsigned char* const longer = realloc(chunk, 8 * (size_t)length);
  CHECK(longer != NULL);
  for (unsigned n = 0; n < pages; n++) CHECK(holds(longer + lead + n * page, n, 1));
  expect_apart(longer + lead);
  unpin();
  free(longer);
}

static void discarded(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(madvise(data, length, MADV_DONTNEED) == 0);
  for (unsigned at = 0; at < length; at++) CHECK(data[at] == 0);
  expect_apart(data);
  unpin();
  CHECK(munmap(data, length) == 0);
}

// Pages that the kernel may free, but not while they are pinned, stay common to both.
static void given_up(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(madvise(data, length, MADV_FREE) == 0);
  CHECK(device_writes(4, 30) && holds(data + 4 * page, 4, 30));
  unpin();
  CHECK(munmap(data, length) == 0);
}

static void remapped(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  unsigned char* const to = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(mremap(data, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
  for (unsigned n = 0; n < pages; n++) CHECK(device_sees(n, 1));
  CHECK(device_writes(5, 40) && holds(to + 5 * page, 5, 40));
  fill(to, 1);
  CHECK(mremap(to, length, length / 2, 0) == to);
  for (unsigned n = 0; n < pages; n++) CHECK(device_sees(n, 1));
  CHECK(device_writes(6, 40) && holds(to + 6 * page, 6, 40));
  fill_pages(to, pages / 2, 1);
  CHECK(munmap(to, length / 2) == 0);
  expect_apart(NULL);
  unpin();
}

// Both processes have their own pages from there on; the device has the parent's.
static void forked(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  int ready[2];
  CHECK(pipe(ready) == 0);
  pid_t const child = fork();
  if (child == 0) {
    char byte;
    memset(data + page, 0xee, page);
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(holds(data, 0, 1) && data[page] == 0xee);
    CHECK(munmap(data, length) == 0);
    free(malloc(length));
    _exit(0);
  }
  CHECK(device_writes(0, 60) && device_writes(2, 60));
  data[3 * page] = 0x77;
  CHECK(write(ready[1], "x", 1) == 1);
  expect_exit(child, 0);
  CHECK(holds(data, 0, 60) && holds(data + 2 * page, 2, 60) && device_sees(1, 1));
  CHECK(device_writes(3, 9) && holds(data + 3 * page, 3, 9));
  unpin();
  close(ready[0]);
  close(ready[1]);
  CHECK(munmap(data, length) == 0);
}

static void truncated(void) {
  int const fd = memfd_create("truncated", MFD_CLOEXEC);
  CHECK(ftruncate(fd, length) == 0);
  unsigned char* const data = new_mapping(MAP_SHARED, fd);
  pin(data);
  CHECK(ftruncate(fd, length / 2) == 0);
  CHECK(device_sees(0, 1) && device_sees(pages / 2 - 1, 1));
  CHECK(device_faults(pages / 2) && device_faults(pages - 1));
  CHECK(munmap(data, length) == 0);
  CHECK(device_sees(0, 1) && device_faults(pages - 1));
  unpin();
  close(fd);
}

static void cut_out(void) {
  int const fd = memfd_create("cut", MFD_CLOEXEC);
  CHECK(ftruncate(fd, length) == 0);
  unsigned char* const data = new_mapping(MAP_SHARED, fd);
  pin(data);
  CHECK(madvise(data, length, MADV_REMOVE) == 0);
  CHECK(data[0] == 0 && data[length - 1] == 0);
  expect_apart(data);
  unpin();
  CHECK(munmap(data, length) == 0);
  close(fd);
}

static void protected_from_writing(void) {
  unsigned char* const data = new_mapping(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  pin(data);
  CHECK(mprotect(data, length, PROT_NONE) == 0);
  CHECK(device_faults(1));
  CHECK(mprotect(data, length, PROT_READ | PROT_WRITE) == 0);
  CHECK(device_sees(1, 1) && device_writes(1, 2) && holds(data + page, 1, 2));
  unpin();
  CHECK(munmap(data, length) == 0);
}

static void detached(void) {
  int const id = shmget(IPC_PRIVATE, length, 0600);
  CHECK(id >= 0);
  unsigned char* const data = shmat(id, NULL, 0);
  CHECK(data != (void*)-1);
  fill(data, 1);
  pin(data);
  CHECK(shmdt(data) == 0);
  CHECK(shmctl(id, IPC_RMID, NULL) == 0);
  expect_apart(NULL);
  unpin();
}

// The end of the heap moves down and up again.
static void heap_cut(void) {
  unsigned char* const end = sbrk(0);
  unsigned char* const data = (unsigned char*)(((uintptr_t)end + page - 1) & ~(uintptr_t)(page - 1));
  CHECK(sbrk((data - end) + length) == end);
  fill(data, 1);
  pin(data);
  CHECK(sbrk(-(length + (data - end))) != (void*)-1);
  CHECK(sbrk(0) == end);
  expect_apart(NULL);
  CHECK(sbrk((data - end) + length) == end);
  for (unsigned at = 0; at < length; at++) CHECK(data[at] == 0);
  unpin();
  CHECK(sbrk(-(length + (data - end))) != (void*)-1);
}

int main(void) {
  CHECK(mallopt(M_MMAP_THRESHOLD, 128 * 1024) == 1);
  set_up();
  unmapped();
  unmapped_by_number();
  mapped_over();
  not_mapped_over();
  freed(0);
  freed(page);
  freed(0x200000);
  reallocated();
  discarded();
  given_up();
  remapped();
  forked();
  truncated();
  cut_out();
  protected_from_writing();
  detached();
  heap_cut();
  return 0;
}
