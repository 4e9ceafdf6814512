// Where a device looks, when `inputs` are mapped.
#pragma once
#include <cstdint>
#include <vector>

#include "oracle/hardware.h"

namespace swiommu::oracle {

// x86 takes writes there for interrupt messages, whatever the tables say.
inline constexpr Range interrupts{0xfee00000, 0xfeefffff};

inline std::vector<Probe> make_probes(Random& random, std::vector<std::uint64_t> const& inputs) {
  std::vector<Probe> probes;
  auto const add = [&](std::uint64_t iova) {
    iova = align_down(iova, 3);
    if (!interrupts.contains(iova)) probes.push_back({iova, one_in(random, 2)});
  };
  for (std::uint64_t const input : inputs) {
    add(input | below(random, 4096));
    if (one_in(random, 4)) add(input ^ bit(static_cast<unsigned>(below(random, 64))));
  }
  add(random());
  add(random() >> below(random, 64));
  return probes;
}

}  // namespace swiommu::oracle
