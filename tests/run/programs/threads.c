// Threads that open, copy, use, fork and close at the same time.
#include "check.h"

#include <pthread.h>

enum { threads = 8, rounds = 300 };
static int shared;

static void* churn(void* argument) {
  long const number = (long)argument;
  for (int round = 0; round < rounds; round++) {
    int const fd = open_iommu();
    CHECK(works(fd) && works(shared));
    int const copy = dup(shared);
    CHECK(close(fd) == 0 && works(copy) && close(copy) == 0);
    if (round % 50 == number) {
      pid_t const child = fork();
      if (child == 0) _exit(works(shared) ? 0 : 1);
      expect_exit(child, 0);
    }
  }
  return NULL;
}

int main(void) {
  pthread_t running[threads];
  shared = open_iommu();
  for (long at = 0; at < threads; at++) CHECK(pthread_create(&running[at], NULL, churn, (void*)at) == 0);
  for (int at = 0; at < threads; at++) CHECK(pthread_join(running[at], NULL) == 0);
  CHECK(works(shared));
  return 0;
}
