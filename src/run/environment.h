// How the launcher tells the preloaded library what was asked for.
#pragma once

namespace swiommu::run {

inline constexpr char const* profile_variable = "SWIOMMU_PROFILE";  // name, or absolute path of a file
inline constexpr char const* usual_profile = "intel-vtd";
inline constexpr char const* log_variable = "SWIOMMU_LOG";  // absolute path of a file, or "-"

}  // namespace swiommu::run
