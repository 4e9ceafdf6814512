// NVMe controllers and their guests, see nvme_device.h.
#include "nvme_device.h"

#include "all_runs.h"

using namespace swiommu::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  run_nvme_device({data, size}, counts_of_all_runs<OutcomeCounts>());
  return 0;
}
