#include "run/remembered_variable.h"

#include <cstdlib>
#include <cstring>

namespace swiommu::run {

std::string_view RememberedVariable::value() {
  char const* known = value_.load(std::memory_order_acquire);
  if (known != nullptr) return known;
  char const* const found = std::getenv(name_);
  char const* const copy = found == nullptr || *found == 0 ? "" : ::strdup(found);
  if (copy == nullptr) return found;
  return value_.compare_exchange_strong(known, copy) ? copy : known;
}

}  // namespace swiommu::run
