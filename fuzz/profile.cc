// Profiles that users write: whatever is in the file, it is a sound profile, or an error on one line that says where.
#include <cstdint>
#include <string_view>

#include "fuzz_input.h"
#include "swiommu/profile/load_profile.h"

using namespace swiommu;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  auto const profile = parse_profile(text, "p");
  if (!profile) {
    require(profile.error().code == EINVAL && profile.error().about.starts_with("p:"));
    require(profile.error().about.find('\n') == std::string::npos);
    return 0;
  }
  require(!find_contradiction(*profile));
  auto const printed = profile_text(*profile);
  require(printed.has_value());
  auto const again = parse_profile(*printed, "p");
  require(again.has_value() && *again == *profile);
  return 0;
}
