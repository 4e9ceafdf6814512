// What all runs of one fuzzer together have done.
#pragma once
#include <cstdio>
#include <cstdlib>

namespace swiommu::fuzzing {

// Has somebody asked for it, by SWIOMMU_FUZZ_COUNTS in the environment?
inline bool counts_are_wanted() { return std::getenv("SWIOMMU_FUZZ_COUNTS") != nullptr; }

// The one object of its kind, a copy of `none` to begin with; printed when the program ends if somebody has asked.
template <class Counts>
Counts& counts_of_all_runs(Counts const& none = {}) {
  static Counts* const made = [&] {
    if (counts_are_wanted()) std::atexit([] { counts_of_all_runs<Counts>().print(stderr); });
    return new Counts(none);
  }();
  return *made;
}

}  // namespace swiommu::fuzzing
