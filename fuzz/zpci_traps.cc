// Instructions of s390 guests, see zpci_traps.h.
#include "zpci_traps.h"

#include "all_runs.h"

using namespace swiommu::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  run_zpci_traps({data, size}, counts_of_all_runs<OutcomeCounts>());
  return 0;
}
