// The main thread ends first; the process ends with the program's last thread, whatever threads it does not know of.
#include "check.h"

#include <pthread.h>

static int fd;

static void* last(void* nothing) {
  pid_t const child = fork();  // from here on others could have the descriptor
  if (child == 0) _exit(works(fd) ? 0 : 1);
  expect_exit(child, 0);
  return nothing;
}

int main(void) {
  fd = open_iommu();
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, last, NULL) == 0);
  pthread_exit(NULL);
}
