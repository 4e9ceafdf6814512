#include "oracle/all_hardware.h"

#include <iterator>

namespace swiommu::oracle {

std::vector<std::unique_ptr<Hardware>> all_hardware() {
  std::vector<std::unique_ptr<Hardware>> all;
  for (auto const make : {vtd_hardware, amd_hardware, smmuv3_hardware, riscv_hardware}) {
    auto some = make();
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace swiommu::oracle
