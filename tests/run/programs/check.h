// For programs that are run under `swiommu run`: they know nothing of swiommu, and say with their exit status what they found.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "swiommu/uapi/iommufd.h"

#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "%s:%d: %s (errno %d, %s)\n", __FILE__, __LINE__, #condition, errno, strerror(errno)); \
      exit(1);                                                                                               \
    }                                                                                                        \
  } while (0)

static inline int open_iommu(void) {
  int const fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
  CHECK(fd >= 0);
  return fd;
}

// The same, to be passed on by exec.
static inline int open_inherited(void) {
  int const fd = open("/dev/iommu", O_RDWR);
  CHECK(fd >= 0);
  return fd;
}

// An ioctl that needs no object: 0, or an errno.
static inline int destroy(int fd, uint32_t id) {
  struct iommu_destroy arguments = {.size = sizeof arguments, .id = id};
  return ioctl(fd, IOMMU_DESTROY, &arguments) == 0 ? 0 : errno;
}

// Nothing has this id: a descriptor of ours says so, the kernel would not.
static inline int works(int fd) { return destroy(fd, 0x7fff0000) == ENOENT; }

static inline void expect_exit(pid_t child, int status) {
  int result = 0;
  CHECK(waitpid(child, &result, 0) == child);
  CHECK(WIFEXITED(result));
  CHECK(WEXITSTATUS(result) == status);
}

static inline void send_descriptor(int socket, int fd) {
  char byte = 'x';
  struct iovec part = {&byte, 1};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  CHECK(sendmsg(socket, &message, 0) == 1);
}

static inline int receive_descriptor(int socket) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  CHECK(recvmsg(socket, &message, 0) == 1);
  CHECK(control.header.cmsg_type == SCM_RIGHTS);
  int fd = -1;
  memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
  return fd;
}
