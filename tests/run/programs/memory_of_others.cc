// Memory of another process than the one that owns the engine: mapped there, used here.
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>

#include "mock_device.h"

namespace {

constexpr std::uint64_t page = 4096;
using swiommu::iommufd::selftest::access_writes;

std::uint32_t make_access(int fd, std::uint32_t ioas) {
  TestCommand command = test_command(TestOperation::create_access, ioas);
  CHECK(run_test_command(fd, command) == 0);
  return command.create_access.out_descriptor;
}

// DMA, so to speak.
int transfer(int fd, std::uint32_t access, std::uint64_t iova, void* bytes, std::uint64_t length, std::uint32_t flags) {
  TestCommand command = test_command(TestOperation::access_transfer, access);
  command.access_transfer.iova = iova;
  command.access_transfer.length = length;
  command.access_transfer.address = reinterpret_cast<std::uintptr_t>(bytes);
  command.access_transfer.flags = flags;
  return run_test_command(fd, command) == 0 ? 0 : errno;
}

void* memory(int flags, std::uint64_t length = 16 * page) {
  void* const data = mmap(nullptr, length, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
  CHECK(data != MAP_FAILED);
  return data;
}

// The child maps its memory and lives: both see each other's writes.
void shared_while_it_lives(int flags, bool inherited) {
  int const fd = open_iommu();
  std::uint32_t const ioas = make_address_space(fd);
  make_device(fd, ioas);
  std::uint32_t const access = make_access(fd, ioas);
  int to_child[2], to_parent[2];
  CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0);
  auto* data = static_cast<char*>(memory(flags));
  pid_t const child = fork();
  char byte = 0;
  if (child == 0) {
    if (!inherited) data = static_cast<char*>(memory(flags));
    strcpy(data + 5 * page, "written before");
    CHECK(map_memory(fd, ioas, data + page, 8 * page, first_iova) == 0);
    CHECK(strcmp(data + 5 * page, "written before") == 0);
    strcpy(data + 6 * page, "written after");
    CHECK(write(to_parent[1], "x", 1) == 1 && read(to_child[0], &byte, 1) == 1);
    _exit(strcmp(data + 7 * page, "from a device") == 0 ? 5 : 1);
  }
  char bytes[32];
  CHECK(read(to_parent[0], &byte, 1) == 1);
  CHECK(transfer(fd, access, first_iova + 4 * page, bytes, 15, 0) == 0 && strcmp(bytes, "written before") == 0);
  CHECK(transfer(fd, access, first_iova + 5 * page, bytes, 14, 0) == 0 && strcmp(bytes, "written after") == 0);
  strcpy(bytes, "from a device");
  CHECK(transfer(fd, access, first_iova + 6 * page, bytes, 14, access_writes) == 0);
  CHECK(write(to_child[1], "x", 1) == 1);
  expect_exit(child, 5);
  // What is pinned outlives it.
  CHECK(transfer(fd, access, first_iova + 5 * page, bytes, 14, 0) == 0 && strcmp(bytes, "written after") == 0);
  close(fd), close(static_cast<int>(access));
  for (int end : {0, 1}) close(to_child[end]), close(to_parent[end]);
  munmap(data, 16 * page);
}

// Nothing pinned it before the child was gone, so it is gone too.
void gone_with_its_process(int flags) {
  int const fd = open_iommu();
  std::uint32_t const ioas = make_address_space(fd);
  void* const data = memory(flags);
  pid_t const child = fork();
  if (child == 0) _exit(map_memory(fd, ioas, data, 4 * page, first_iova));
  expect_exit(child, 0);
  TestCommand command = test_command(TestOperation::mock_domain, ioas);
  CHECK(run_test_command(fd, command) == -1 && errno == EFAULT);
  close(fd);
}

// What is wrong with it shows when it is pinned.
void not_there() {
  int const fd = open_iommu();
  std::uint32_t const ioas = make_address_space(fd);
  make_device(fd, ioas);
  pid_t const child = fork();
  if (child == 0) {
    auto* const data = static_cast<char*>(memory(MAP_PRIVATE));
    CHECK(munmap(data + 2 * page, page) == 0);
    CHECK(map_memory(fd, ioas, data, 4 * page, first_iova) == EFAULT);
    CHECK(mprotect(data, page, PROT_READ) == 0);
    CHECK(map_memory(fd, ioas, data, page, first_iova) == EFAULT);
    CHECK(map_memory(fd, ioas, reinterpret_cast<void*>(page), page, first_iova) == EFAULT);
    // Several mappings with rights of their own, and a heap: all private.
    CHECK(mprotect(data + 4 * page, page, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    CHECK(map_memory(fd, ioas, data + 3 * page, 3 * page, first_iova) == 0);
    void* heap = nullptr;
    CHECK(posix_memalign(&heap, page, 2 * page) == 0);
    CHECK(map_memory(fd, ioas, heap, 2 * page, first_iova + 8 * page) == 0);
    _exit(6);
  }
  expect_exit(child, 6);
  close(fd);
}

// Descriptors of the child's: a memfd to map, results to be written to its memory.
void through_descriptors() {
  int const fd = open_iommu();
  std::uint32_t const ioas = make_address_space(fd);
  make_device(fd, ioas);
  std::uint32_t const access = make_access(fd, ioas);
  int const before = dup(0);
  close(before);
  pid_t const child = fork();
  if (child == 0) {
    auto const file = static_cast<int>(syscall(SYS_memfd_create, "file", 0));
    CHECK(ftruncate(file, 4 * page) == 0 && pwrite(file, "in a file", 10, page) == 10);
    iommu_ioas_map_file map{};
    map.size = sizeof map;
    map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE;
    map.ioas_id = ioas;
    map.fd = file;
    map.length = 4 * page;
    map.iova = first_iova;
    CHECK(ioctl(fd, IOMMU_IOAS_MAP_FILE, &map) == 0);
    map.fd = 77;
    map.iova += 4 * page;
    CHECK(ioctl(fd, IOMMU_IOAS_MAP_FILE, &map) == -1 && errno == EBADF);
    iommu_iova_range ranges[4];
    iommu_ioas_iova_ranges query{};
    query.size = sizeof query;
    query.ioas_id = ioas;
    query.num_iovas = 4;
    query.allowed_iovas = reinterpret_cast<std::uintptr_t>(ranges);
    CHECK(ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &query) == 0 && query.num_iovas == 1 && ranges[0].start == first_iova);
    query.allowed_iovas = page;
    CHECK(ioctl(fd, IOMMU_IOAS_IOVA_RANGES, &query) == -1 && errno == EFAULT);
    _exit(7);
  }
  expect_exit(child, 7);
  char bytes[16];
  CHECK(transfer(fd, access, first_iova + page, bytes, 10, 0) == 0 && strcmp(bytes, "in a file") == 0);
  int const after = dup(0);
  CHECK(after == before);  // nothing of the exchange has stayed open
  close(after), close(fd), close(static_cast<int>(access));
}

}  // namespace

int main() {
  shared_while_it_lives(MAP_PRIVATE, true);
  shared_while_it_lives(MAP_PRIVATE, false);
  shared_while_it_lives(MAP_SHARED, true);
  // Nobody but root gets at anonymous memory that is shared and not mapped in the owner.
  if (geteuid() == 0) shared_while_it_lives(MAP_SHARED, false);
  gone_with_its_process(MAP_PRIVATE);
  gone_with_its_process(MAP_SHARED);
  not_there();
  through_descriptors();
  return 0;
}
