// What the structures of VFIO's ioctls hold, for the log: CallRecord::calls of who logs calls on these files. The numbers mean
// other things on a container.
#pragma once
#include <span>

#include "iommufd/call_fields.h"

namespace swiommu::vfio {

std::span<iommufd::CallShape const> device_calls();
std::span<iommufd::CallShape const> group_calls();

}  // namespace swiommu::vfio
