// What `swiommu run --profile` was given.
#pragma once
#include "swiommu/base/result.h"
#include "swiommu/profile/profile.h"

namespace swiommu::run {

// The profile that the environment names; the usual one if it names none. The errors of the profile.
Result<Profile> chosen_profile();

}  // namespace swiommu::run
