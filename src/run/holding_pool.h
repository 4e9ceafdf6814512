// Where holdings live. Not in the heap: they are made when a program's first call comes, which may be from inside its malloc.
#pragma once
#include <cstddef>
#include <new>
#include <utility>

#include "run/holding.h"

namespace swiommu::run {

class HoldingPool {
 public:
  // nullptr: no memory.
  template <class T, class... Arguments>
  static T* create(Arguments&&... arguments) {
    static_assert(sizeof(T) <= piece && alignof(T) <= alignof(std::max_align_t));
    void* const place = allocate();
    return place == nullptr ? nullptr : new (place) T(std::forward<Arguments>(arguments)...);
  }
  static void destroy(Holding* holding);

 private:
  static constexpr std::size_t piece = 256;
  static void* allocate();
};

}  // namespace swiommu::run
