// Guests' structures and tables of each hardware, see hostile_guest.h.
#include "hostile_guest.h"

#include "all_runs.h"

using namespace swiommu::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  static HostileCounts& counts = counts_of_all_runs<HostileCounts>({.with_words = counts_are_wanted()});
  run_hostile_guest({data, size}, counts);
  return 0;
}
