// What every way to a new process has around it.
#pragma once
#include <sys/types.h>

namespace swiommu::run {

// The owner must be ready for holders that are not it.
void before_new_process();
// The child closes what is its parent's. Returns `pid`.
pid_t in_child(pid_t pid);

}  // namespace swiommu::run
