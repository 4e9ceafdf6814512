// How the launcher tells the preloaded library what was asked for.
#pragma once

namespace swiommu::run {

inline constexpr char const* profile_variable = "SWIOMMU_PROFILE";  // name, or absolute path of a file
inline constexpr char const* usual_profile = "intel-vtd";
inline constexpr char const* log_variable = "SWIOMMU_LOG";          // absolute path of a file, or "-"
inline constexpr char const* devices_variable = "SWIOMMU_DEVICES";  // of `--device`, a line each
inline constexpr char const* sysfs_variable = "SWIOMMU_SYSFS";      // the folder that holds what /sys is to say of them
// What is to be behind descriptors that the program finds open: lines of a number, a space, and a path.
inline constexpr char const* handed_variable = "SWIOMMU_HANDED";

}  // namespace swiommu::run
