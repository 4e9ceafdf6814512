// How a change treats what it meets.
#pragma once
#include <cstdint>

namespace swiommu {

// What mapping does where something is mapped already.
enum class Existing : std::uint8_t {
  refuse,   // EEXIST, nothing changed
  replace,  // each address turns from the old translation to the new one, with nothing in between
};

// What unmapping and replacing do with an entry that the range covers only in part.
enum class Cut : std::uint8_t {
  refuse,  // EINVAL, nothing changed
  split,   // the entry becomes smaller ones first, which translate the same
};

}  // namespace swiommu
