// How what is measured says that it cannot go on: an exception, because figures that come out of calls which fail are worth
// nothing, and every call is checked.
#pragma once
#include <stdexcept>
#include <utility>

#include "swiommu/base/result.h"

namespace swiommu::bench {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The value of a call that must not fail.
template <class T>
T needed(Result<T> result) {
  if (!result) throw Failure(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

inline void require(bool holds, char const* what) {
  if (!holds) throw Failure(what);
}

}  // namespace swiommu::bench
