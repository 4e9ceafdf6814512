// Before main.
#include <fcntl.h>

#include <cerrno>

#include "run/handed_descriptors.h"
#include "run/owner.h"
#include "run/preload/next.h"
#include "run/preload/paths.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

namespace swiommu::run {
namespace {

int open_handed(char const* path) { return static_cast<int>(open_ours(path, O_RDWR).value_or(-ENOENT)); }

int move_handed(int from, int to) {
  int const moved = run_dup2(from, to);
  run_close(from);
  return moved;
}

}  // namespace

// Constructors of other libraries may have come before; whatever they called has been looked up, and looked at, by need.
__attribute__((constructor(101))) static void start() {
  int const kept = errno;
  look_up_all();
  process_state();
  hand_over(&open_handed, &move_handed);
  errno = kept;
}

// After main; not where a program ends without exit(3).
__attribute__((destructor)) static void end() {
  if (Owner const* const owner = Owner::existing()) owner->log_activity();
}

}  // namespace swiommu::run
