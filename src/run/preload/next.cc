#include "run/preload/next.h"

#include <dlfcn.h>

#include <span>

// The linker's names for the ends of the section that holds all of them.
extern "C" swiommu::run::NextFunction __start_swiommu_next[], __stop_swiommu_next[];

namespace swiommu::run {

void* look_up(NextFunction& function) {
  void* const address = dlsym(RTLD_NEXT, function.name);
  function.address.store(address, std::memory_order_relaxed);
  return address;
}

void look_up_all() {
  for (NextFunction& function : std::span(__start_swiommu_next, __stop_swiommu_next)) look_up(function);
}

}  // namespace swiommu::run
