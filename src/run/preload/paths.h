// The paths that lead to us.
#pragma once
#include <optional>

#include "swiommu/vfio/device_path.h"

namespace swiommu::run {

using vfio::DevicePath;

// Those of iommufd and VFIO, as far as there are such devices. An address that is no text is none.
[[nodiscard]] std::optional<DevicePath> our_path(char const* path);

// open(2) of one of our paths, or of a file that we edit (run/status_file.h): a descriptor, or -errno. Nothing: neither.
[[nodiscard]] std::optional<long> open_ours(char const* path, int flags);

}  // namespace swiommu::run
