// Before main.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "run/chosen_devices.h"
#include "run/file_name.h"
#include "run/handed_descriptors.h"
#include "run/kernel_call.h"
#include "run/owner.h"
#include "run/preload/next.h"
#include "run/preload/paths.h"
#include "run/preload/sysfs.h"
#include "run/preload/wrapped.h"
#include "run/process_state.h"

namespace swiommu::run {
namespace {

int open_handed(char const* path) { return static_cast<int>(open_ours(path, O_RDWR).value_or(-ENOENT)); }

// Is nothing there but what keeps the number taken, or what was there before this process became another program?
bool is_to_be_opened(int number) {
  struct stat status;
  if (auto const name = peer_name(number)) {
    Owner const* const owner = Owner::existing();
    return name->owner == process_state().pid && (owner == nullptr || owner->token() != name->token);
  }
  return kernel_call(SYS_newfstatat, number, "", &status, AT_EMPTY_PATH) == 0 && S_ISCHR(status.st_mode) &&
         status.st_rdev == makedev(1, 3);
}

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
  static_cast<void>(count_of_devices());
  static_cast<void>(Redirected("/sys").path());  // both remember what the environment says
  hand_over(&is_to_be_opened, &open_handed, &move_handed);
  errno = kept;
}

// After main; not where a program ends without exit(3).
__attribute__((destructor)) static void end() {
  if (Owner const* const owner = Owner::existing()) owner->log_activity();
}

}  // namespace swiommu::run
