// Descriptors within one process: copies, replacement, closing in every order.
#include "check.h"

#include <sys/stat.h>

static int is_closed(int fd) { return fcntl(fd, F_GETFD) == -1 && errno == EBADF; }

static void copies(void) {
  int const lowest = dup(0);
  CHECK(close(lowest) == 0);
  int const fd = open_iommu();
  CHECK(fd == lowest && works(fd));
  int const copy = dup(fd), high = fcntl(fd, F_DUPFD, 100), executed = fcntl(fd, F_DUPFD_CLOEXEC, 50);
  CHECK(copy > fd && copy < 50 && high == 100 && executed == 50);
  CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(copy, F_GETFD) == 0);
  CHECK(fcntl(high, F_GETFD) == 0 && fcntl(executed, F_GETFD) == FD_CLOEXEC);
  CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
  CHECK(close(fd) == 0 && is_closed(fd) && destroy(fd, 1) == EBADF);
  CHECK(works(copy) && works(high) && works(executed));
  CHECK(close(high) == 0 && works(executed) && works(copy));
  CHECK(close(copy) == 0 && works(executed));
  CHECK(close(executed) == 0 && is_closed(executed) && close(executed) == -1 && errno == EBADF);
}

static void replacement(void) {
  int const fd = open_iommu(), zero = open("/dev/zero", O_RDONLY), other = open_iommu();
  char byte = 1;
  CHECK(dup2(fd, fd) == fd && works(fd));
  CHECK(dup3(fd, fd, 0) == -1 && errno == EINVAL);
  CHECK(dup2(zero, fd) == fd && read(fd, &byte, 1) == 1 && byte == 0);  // over ours
  CHECK(destroy(fd, 1) == ENOTTY);
  CHECK(dup2(other, zero) == zero && works(zero));  // ours over another file
  CHECK(dup2(other, zero) == zero && works(zero));  // ours over the same
  CHECK(dup3(other, 60, O_CLOEXEC) == 60 && works(60) && fcntl(60, F_GETFD) == FD_CLOEXEC);
  CHECK(dup2(200, other) == -1 && errno == EBADF && works(other));  // 200 is nothing: nothing changes
  CHECK(dup2(other, -1) == -1 && errno == EBADF);
  close(fd), close(zero), close(other), close(60);
}

static void ranges(void) {
  int const fd = open_iommu();
  for (int at = 10; at < 20; at++) CHECK(dup2(fd, at) == at);
  CHECK(close_range(12, 15, 0) == 0);
  for (int at = 10; at < 20; at++) CHECK(at >= 12 && at <= 15 ? is_closed(at) : works(at));
  CHECK(close_range(3, ~0U, 0) == 0);  // ours behind the descriptors is not the program's to close
  for (int at = 3; at < 20; at++) CHECK(is_closed(at));
  int const again = open_iommu();
  CHECK(again == 3 && works(again));  // the lowest there is
  closefrom(3);
  CHECK(is_closed(again));
  int const third = open_iommu();
  for (int at = third; at < 5000; at++) close(at);
  CHECK(is_closed(third));
  int const fourth = open_iommu();
  CHECK(works(fourth));
  close(fourth);
}

static void kind(void) {
  int const fd = open_iommu();
  struct stat status;
  CHECK(stat("/dev/iommu", &status) == 0 && S_ISCHR(status.st_mode));
  CHECK(fstat(fd, &status) == 0 && S_ISCHR(status.st_mode));
  CHECK(fstatat(AT_FDCWD, "/dev/iommu", &status, 0) == 0 && S_ISCHR(status.st_mode));
  struct statx extended;
  CHECK(statx(AT_FDCWD, "/dev/iommu", 0, STATX_BASIC_STATS, &extended) == 0 && S_ISCHR(extended.stx_mode));
  CHECK(access("/dev/iommu", R_OK | W_OK) == 0);
  CHECK(faccessat(AT_FDCWD, "/dev/iommu", X_OK, 0) == -1 && errno == EACCES);
  CHECK(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
  char bytes[8];
  CHECK(read(fd, bytes, 8) == -1 && errno == EINVAL);
  CHECK(write(fd, bytes, 8) == -1 && errno == EINVAL);
  CHECK(pread(fd, bytes, 8, 8) == -1 && errno == ESPIPE);
  CHECK(lseek(fd, 0, SEEK_SET) == -1 && errno == ESPIPE);
  CHECK(ioctl(fd, 0x3b00 | 0x7e, bytes) == -1);
  CHECK(ioctl(fd, IOMMU_DESTROY, (void*)8) == -1 && errno == EFAULT);
  struct iommu_destroy small = {.size = 4};
  CHECK(ioctl(fd, IOMMU_DESTROY, &small) == -1 && errno == EINVAL);
  close(fd);
}

int main(void) {
  copies();
  replacement();
  ranges();
  kind();
  return 0;
}
