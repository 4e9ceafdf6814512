// Mapping and unmapping, from the bare page table up to ioctls.
#include "bench/map_measurements.h"
#include "bench/suites.h"

namespace swiommu::bench {

std::vector<Measurement> map_suite(Scope const& scope) {
  std::vector<Measurement> all = page_table_maps(scope);
  for (auto* const more : {domain_maps, ioctl_maps})
    for (Measurement& each : more(scope)) all.push_back(std::move(each));
  return all;
}

}  // namespace swiommu::bench
