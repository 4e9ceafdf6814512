#include "bench/suites.h"

#include <algorithm>

#include "bench/failure.h"

namespace swiommu::bench {

std::vector<std::uint64_t> Scope::working_sets(bool close, std::uint64_t most) const {
  most = std::min(most, most_pages);
  unsigned const step_lg2 = quick ? 6 : close ? 2 : 4;
  std::vector<std::uint64_t> all;
  for (std::uint64_t pages = 1; pages < most; pages <<= step_lg2) all.push_back(pages);
  all.push_back(most);
  return all;
}

std::vector<NamedFormat> usual_formats(bool quick) {
  std::vector<NamedFormat> formats;
  for (char const* const name : {"vtd-second-stage", "x86-64", "amd-v1", "arm-lpae-s1-4k", "arm-lpae-s2-4k", "riscv-sv48",
                                 "riscv-sv48x4", "s390-zpci-rt"}) {
    formats.push_back(needed(find_format(name)));
    if (quick) break;
  }
  return formats;
}

std::span<Suite const> suites() {
  static constexpr Suite all[] = {
      {"translate", "a port's translations, from the same page again to working sets that no cache holds", translate_suite},
      {"walk", "walks of page tables of every format", walk_suite},
      {"nested", "the two-dimensional walk: bare, and in a port", nested_suite},
      {"map", "mapping and unmapping: in the page table, in a domain, with pins, through ioctls", map_suite},
      {"anchor", "a guest's change of its anchor: a nested domain made, attached, and the one before destroyed", anchor_suite},
      {"shadow", "refreshing the shadow of a user page table, changed and unchanged", shadow_suite},
      {"dirty", "reading and clearing dirty flags", dirty_suite},
      {"scale", "ports beside each other, and beside a thread that invalidates", scale_suite},
  };
  return all;
}

}  // namespace swiommu::bench
