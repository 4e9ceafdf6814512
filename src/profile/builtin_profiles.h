// The profiles that need no file.
#pragma once
#include <span>
#include <string_view>

#include "swiommu/profile/profile.h"

namespace swiommu {

struct BuiltinProfile {
  std::string_view name;
  std::string_view description;
  Hardware hardware;
};

std::span<BuiltinProfile const> builtin_rows();
Result<Profile> make_builtin(BuiltinProfile const& row);

}  // namespace swiommu
