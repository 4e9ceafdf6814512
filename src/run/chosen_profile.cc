#include "run/chosen_profile.h"

#include <cstdlib>

#include "run/environment.h"

namespace swiommu::run {

Result<Profile> chosen_profile() {
  char const* const name = std::getenv(profile_variable);
  Profile profile;
  profile.name = name == nullptr || *name == 0 ? "intel-vtd" : name;
  return profile;
}

}  // namespace swiommu::run
