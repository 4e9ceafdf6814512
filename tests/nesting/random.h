// How much these tests do, and from which seed: as for all tests with random input.
#pragma once
#include "conformance/effort.h"

namespace swiommu::nesting {

using conformance::below;
using conformance::effort;
using conformance::one_in;
using conformance::Random;
using conformance::seed;

template <class Container>
auto& any_of(Random& random, Container& container) {
  return container[below(random, container.size())];
}

}  // namespace swiommu::nesting
