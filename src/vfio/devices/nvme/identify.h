// What Identify tells. NVM Express 1.4, 5.15.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "swiommu/vfio/device_model.h"
#include "swiommu/vfio/nvme.h"
#include "vfio/devices/nvme/command.h"
#include "vfio/devices/nvme/data_page.h"
#include "vfio/devices/nvme/namespace.h"

namespace swiommu::vfio::nvme {

using Namespaces = std::vector<std::unique_ptr<Namespace>>;

// Null: there is no such namespace.
inline Namespace const* find(Namespaces const& namespaces, std::uint32_t nsid) {
  return nsid == 0 || nsid > namespaces.size() ? nullptr : namespaces[nsid - 1].get();
}

inline constexpr char firmware_revision[] = "1.0";

// The page is filled only if the status is success.
Status identify(Command const& command, PciIdentity const& pci, NvmeOptions const& options, Namespaces const& namespaces,
                DataPage& page);

}  // namespace swiommu::vfio::nvme
