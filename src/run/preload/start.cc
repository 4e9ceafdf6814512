// Before main.
#include <cerrno>

#include "run/preload/next.h"
#include "run/process_state.h"

namespace swiommu::run {

// Constructors of other libraries may have come before; whatever they called has been looked up, and looked at, by need.
__attribute__((constructor(101))) static void start() {
  int const kept = errno;
  look_up_all();
  process_state();
  errno = kept;
}

}  // namespace swiommu::run
