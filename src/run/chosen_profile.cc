#include "run/chosen_profile.h"

#include <cstdlib>

#include "run/environment.h"
#include "swiommu/profile/load_profile.h"

namespace swiommu::run {

Result<Profile> chosen_profile() {
  char const* const name = std::getenv(profile_variable);
  return guarded([&] { return load_profile(name == nullptr || *name == 0 ? usual_profile : name); });
}

}  // namespace swiommu::run
