// How much the tests with random input do, and from which seed.
//
//   SWIOMMU_SEED=n     start from this seed; without it from a fixed one, so that a failure can be repeated
//   SWIOMMU_EFFORT=n   n times as many steps
#pragma once
#include <cstdint>
#include <cstdlib>
#include <random>

namespace swiommu::nesting {

using Random = std::mt19937_64;

inline std::uint64_t number_from_environment(char const* name, std::uint64_t otherwise) {
  char const* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

inline std::uint64_t seed() { return number_from_environment("SWIOMMU_SEED", 20220304); }

// `steps` in an optimised build; fewer where each step costs more.
inline unsigned effort(unsigned steps) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  steps = steps / 6 + 1;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  steps = steps / 6 + 1;
#endif
#endif
  return static_cast<unsigned>(steps * number_from_environment("SWIOMMU_EFFORT", 1));
}

// A number in [0, limit), limit > 0.
inline std::uint64_t below(Random& random, std::uint64_t limit) { return random() % limit; }
inline bool one_in(Random& random, std::uint64_t n) { return below(random, n) == 0; }

template <class Container>
auto& any_of(Random& random, Container& container) {
  return container[below(random, container.size())];
}

}  // namespace swiommu::nesting
