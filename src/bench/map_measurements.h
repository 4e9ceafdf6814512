// The parts of the map suite.
#pragma once
#include <vector>

#include "bench/suites.h"

namespace swiommu::bench {

std::vector<Measurement> page_table_maps(Scope const& scope);  // a page table alone
std::vector<Measurement> domain_maps(Scope const& scope);      // domains with a device attached, I/O address spaces, pins
std::vector<Measurement> ioctl_maps(Scope const& scope);       // through /dev/iommu, in the same process

}  // namespace swiommu::bench
