// The ioctl of the kernel's selftest programs, which an iommufd of their profile has besides the others.
#pragma once
#include <span>

#include "iommufd/dispatch.h"

namespace swiommu::iommufd::selftest {

// For dispatch(); the engine must have a mock IOMMU.
std::span<Operation const> test_operations();

}  // namespace swiommu::iommufd::selftest
