// From a profile to the IOMMU that it describes: what PhysicalDevice::create() puts a device behind.
#pragma once
#include <memory>

#include "swiommu/base/result.h"
#include "swiommu/profile/profile.h"

namespace swiommu::iommufd {

class Driver;

// The IOMMU of any sound profile, builtin or written by a user. What the profile says, /dev/iommu says of the devices behind it:
// hardware information, HWPTs and their iovas, PASIDs, dirty tracking, nesting; less what a device itself lacks
// (PhysicalDevice::Options). Each call makes another IOMMU, with a copy of the profile: devices that are to share a vIOMMU share
// the driver. They may be of several engines. Any thread. EINVAL: the profile contradicts itself (find_contradiction). ENOMEM.
[[nodiscard]] Result<std::shared_ptr<Driver>> make_driver(Profile const& profile);

}  // namespace swiommu::iommufd
