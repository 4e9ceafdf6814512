// Guests' structures and tables of each hardware, see hostile_guest.h. With SWIOMMU_FUZZ_COUNTS in the environment, prints at the
// end what was met.
#include "hostile_guest.h"

#include <cstdlib>

using namespace swiommu::fuzzing;

namespace {

HostileCounts& counts() {
  static HostileCounts* const made = [] {
    bool const wanted = std::getenv("SWIOMMU_FUZZ_COUNTS") != nullptr;
    if (wanted) std::atexit([] { counts().print(stderr); });
    return new HostileCounts{.with_words = wanted};
  }();
  return *made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  run_hostile_guest({data, size}, counts());
  return 0;
}
