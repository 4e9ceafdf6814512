// Streams of ioctls, see ioctl_runner.h.
#include "all_runs.h"
#include "ioctl_runner.h"

using namespace swiommu::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  run_ioctl_stream({data, size}, counts_of_all_runs<OutcomeCounts>());
  return 0;
}
