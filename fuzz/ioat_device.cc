// I/OAT engines and their guests, see ioat_device.h.
#include "ioat_device.h"

#include "all_runs.h"

using namespace swiommu::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  run_ioat_device({data, size}, counts_of_all_runs<OutcomeCounts>());
  return 0;
}
