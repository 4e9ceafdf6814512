// Instructions of s390 guests, see zpci_traps.h. With SWIOMMU_FUZZ_COUNTS in the environment, prints at the end what they did.
#include <cstdlib>

#include "zpci_traps.h"

using namespace swiommu::fuzzing;

namespace {

OutcomeCounts& counts() {
  static OutcomeCounts* const made = [] {
    if (std::getenv("SWIOMMU_FUZZ_COUNTS") != nullptr) std::atexit([] { counts().print(stderr); });
    return new OutcomeCounts;
  }();
  return *made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  run_zpci_traps({data, size}, counts());
  return 0;
}
