// The same calls through syscall(2), and under the names that -D_FORTIFY_SOURCE and -D_FILE_OFFSET_BITS=64 use.
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

int __open_2(char const* path, int flags);
int __open64_2(char const* path, int flags);
int __openat_2(int folder, char const* path, int flags);
int __openat64_2(int folder, char const* path, int flags);
ssize_t __read_chk(int fd, void* to, size_t length, size_t room);

static void use_and_close(int fd) {
  CHECK(fd >= 0 && works(fd));
  CHECK(close(fd) == 0);
}

int main(void) {
  use_and_close((int)syscall(SYS_openat, AT_FDCWD, "/dev/iommu", O_RDWR));
#ifdef SYS_open
  use_and_close((int)syscall(SYS_open, "/dev/iommu", O_RDWR));
#endif
  use_and_close(open64("/dev/iommu", O_RDWR));
  use_and_close(openat(AT_FDCWD, "/dev/iommu", O_RDWR));
  use_and_close(openat64(AT_FDCWD, "/dev/iommu", O_RDWR));
  use_and_close(__open_2("/dev/iommu", O_RDWR));
  use_and_close(__open64_2("/dev/iommu", O_RDWR));
  use_and_close(__openat_2(AT_FDCWD, "/dev/iommu", O_RDWR));
  use_and_close(__openat64_2(AT_FDCWD, "/dev/iommu", O_RDWR));
  use_and_close(open("/dev/vfio/vfio", O_RDWR));

  int const fd = open_iommu();
  struct iommu_destroy arguments = {.size = sizeof arguments, .id = 0x7fff0000};
  CHECK(syscall(SYS_ioctl, fd, IOMMU_DESTROY, &arguments) == -1 && errno == ENOENT);
  long const copy = syscall(SYS_dup, fd);
  CHECK(works((int)copy));
  CHECK(syscall(SYS_dup3, fd, 30, 0) == 30 && works(30));
  CHECK(syscall(SYS_fcntl, fd, F_DUPFD, 40) == 40 && works(40));
  char bytes[8];
  CHECK(syscall(SYS_read, fd, bytes, 8L) == -1 && errno == EINVAL);
  CHECK(syscall(SYS_write, fd, bytes, 8L) == -1 && errno == EINVAL);
  CHECK(syscall(SYS_pread64, fd, bytes, 8L, 1L) == -1 && errno == ESPIPE);
  CHECK(__read_chk(fd, bytes, 8, 8) == -1 && errno == EINVAL);
  struct iovec part = {bytes, 8};
  CHECK(readv(fd, &part, 1) == -1 && errno == EINVAL);
  CHECK(writev(fd, &part, 1) == -1 && errno == EINVAL);
  CHECK(syscall(SYS_readv, fd, &part, 1L) == -1 && errno == EINVAL);
  CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096) == MAP_FAILED && errno == ENXIO);
  CHECK(syscall(SYS_mmap, NULL, 4096L, PROT_READ, MAP_SHARED, fd, 4096L) == -1 && errno == ENXIO);
  CHECK(mmap64(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096) == MAP_FAILED && errno == ENXIO);
  CHECK(syscall(SYS_close, copy) == 0 && destroy((int)copy, 1) == EBADF);
  CHECK(syscall(SYS_close_range, 30L, 40L, 0L) == 0 && destroy(30, 1) == EBADF && destroy(40, 1) == EBADF);
  CHECK(works(fd));

  // What is not ours is as it was.
  CHECK(syscall(SYS_getpid) == getpid());
  int const zero = (int)syscall(SYS_openat, AT_FDCWD, "/dev/zero", O_RDONLY);
  bytes[0] = 1;
  CHECK(syscall(SYS_read, zero, bytes, 1L) == 1 && bytes[0] == 0);
  CHECK(ioctl(zero, IOMMU_DESTROY, &arguments) == -1 && errno == ENOTTY);
  pid_t const child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L);
  if (child == 0) _exit(works(fd) ? 17 : 1);
  expect_exit(child, 17);
  return 0;
}
