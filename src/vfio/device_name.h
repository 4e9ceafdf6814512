// The argument of VFIO_GROUP_GET_DEVICE_FD: "0000:01:00.0", and options behind it.
#pragma once
#include <string_view>

#include "swiommu/base/result.h"
#include "swiommu/vfio/pci_address.h"

namespace swiommu::vfio {

// Is this function meant? EINVAL: it is, but what follows is no option, the token of a virtual function is malformed, or there is
// one: none of our functions is virtual, or has such.
Result<bool> match_device_name(std::string_view name, PciAddress address);

}  // namespace swiommu::vfio
