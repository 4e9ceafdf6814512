// Other processes that have the descriptor: children, their children, images after exec, receivers.
#include "check.h"

#include <spawn.h>

extern char** environ;
static char const* self;

static void fork_and_use(void) {
  int const fd = open_iommu();
  pid_t const child = fork();
  if (child == 0) {
    CHECK(works(fd));
    int const copy = dup(fd);
    CHECK(close(fd) == 0 && works(copy));
    pid_t const grandchild = fork();
    if (grandchild == 0) _exit(works(copy) ? 5 : 1);
    expect_exit(grandchild, 5);
    // What the child opens is its own.
    int const own = open_iommu();
    CHECK(works(own) && works(copy));
    _exit(6);
  }
  expect_exit(child, 6);
  CHECK(works(fd));
  close(fd);
}

// The parent has closed it; it is the child's alone, and works as long as the parent lives.
static void close_before_the_child(void) {
  int go[2], fd = open_iommu();
  CHECK(pipe(go) == 0);
  pid_t const child = fork();
  char byte = 0;
  if (child == 0) {
    close(go[1]);
    CHECK(read(go[0], &byte, 1) == 0);
    _exit(works(fd) ? 7 : 1);
  }
  CHECK(close(fd) == 0);
  close(go[0]), close(go[1]);
  expect_exit(child, 7);
}

// The owner is gone: ENODEV. It was the middle one of three.
static void owner_dies(void) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
  pid_t const owner = fork();
  if (owner == 0) {
    int const fd = open_iommu();
    send_descriptor(pair[1], fd);
    char byte = 0;
    CHECK(read(pair[1], &byte, 1) == 1);
    _exit(0);
  }
  int const fd = receive_descriptor(pair[0]);
  CHECK(works(fd));
  CHECK(write(pair[0], "x", 1) == 1);
  expect_exit(owner, 0);
  CHECK(destroy(fd, 1) == ENODEV);
  CHECK(destroy(fd, 1) == ENODEV);
  char byte = 0;
  CHECK(read(fd, &byte, 1) == -1 && errno == ENODEV);
  struct pollfd poll_of = {fd, POLLIN, 0};
  CHECK(poll(&poll_of, 1, 0) == 1 && (poll_of.revents & POLLHUP) != 0);
  close(fd), close(pair[0]), close(pair[1]);
}

// A process that is no child of the owner's, and sends the descriptor back.
static void pass_around(void) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  pid_t const receiver = fork();
  if (receiver == 0) {
    int const fd = receive_descriptor(pair[1]);
    CHECK(works(fd));
    send_descriptor(pair[1], fd);
    close(fd);
    _exit(8);
  }
  int const fd = open_iommu();
  send_descriptor(pair[0], fd);
  int const back = receive_descriptor(pair[0]);
  CHECK(back != fd && works(back));
  CHECK(close(fd) == 0 && works(back));
  expect_exit(receiver, 8);
  close(back), close(pair[0]), close(pair[1]);
}

static void run_image(char const* how, int fd, int status) {
  char number[16];
  snprintf(number, sizeof number, "%d", fd);
  char* arguments[] = {(char*)self, (char*)how, number, NULL};
  pid_t child = 0;
  if (strcmp(how, "spawned") == 0) {
    CHECK(posix_spawn(&child, self, NULL, NULL, arguments, environ) == 0);
  } else {
    child = strcmp(how, "vforked") == 0 ? vfork() : fork();
    if (child == 0) {
      execv(self, arguments);
      _exit(1);
    }
  }
  expect_exit(child, status);
}

static void execute(void) {
  int const fd = open_inherited();
  run_image("executed", fd, 9);
  run_image("vforked", fd, 9);
  run_image("spawned", fd, 9);
  int const closed = open_iommu();
  run_image("not there", closed, 11);
  CHECK(works(fd));
  close(fd), close(closed);
}

// The owner itself becomes another image: what it had is gone with its memory.
static void owner_executes(void) {
  pid_t const child = fork();
  if (child == 0) {
    int const fd = open_inherited();
    CHECK(works(fd));
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    execl(self, self, "owner", number, NULL);
    _exit(1);
  }
  expect_exit(child, 10);
}

static int image(char const* how, int fd) {
  if (strcmp(how, "owner") == 0) return destroy(fd, 1) == ENODEV && works(open_iommu()) ? 10 : 1;
  if (strcmp(how, "not there") == 0) return destroy(fd, 1) == EBADF ? 11 : 1;
  return works(fd) && works(open_iommu()) ? 9 : 1;
}

// vfork: the parent waits until the child is another image or gone.
static void vfork_waits(void) {
  int const fd = open_iommu();
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  pid_t const child = vfork();
  if (child == 0) {
    usleep(20000);
    _exit(write(ends[1], "x", 1) == 1 ? 12 : 1);
  }
  char byte = 0;
  CHECK(read(ends[0], &byte, 1) == 1);
  expect_exit(child, 12);
  CHECK(works(fd));
  close(fd), close(ends[0]), close(ends[1]);
}

int main(int count, char** words) {
  self = words[0];
  if (count == 3) return image(words[1], atoi(words[2]));
  fork_and_use();
  close_before_the_child();
  owner_dies();
  pass_around();
  execute();
  owner_executes();
  vfork_waits();
  return 0;
}
