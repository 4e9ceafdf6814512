// A program may end with its main thread (pthread_exit) and the others after it; the process ends with the last. Threads of ours
// must not keep it.
#pragma once

namespace swiommu::run {

// The main thread has ended, and all that is left are threads with the name that ours have, "swiommu".
[[nodiscard]] bool program_has_ended();

}  // namespace swiommu::run
