// A constructor uses /dev/iommu, and so does a handler that runs when the program ends.
#include "check.h"

static int early = -1;

__attribute__((constructor)) static void before_main(void) { early = open_iommu(); }
static void after_main(void) { CHECK(works(early)); }

int main(void) {
  CHECK(works(early));
  CHECK(atexit(after_main) == 0);
  return 0;
}
