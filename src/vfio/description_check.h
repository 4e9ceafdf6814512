// Is what a model says of itself a PCI function at all?
#pragma once
#include "swiommu/base/result.h"
#include "swiommu/vfio/device_model.h"

namespace swiommu::vfio {

// EINVAL: BARs that overlap, or that are no power of two of at least a page; tables of MSI-X outside of their BAR, misaligned, or
// over one another; too many vectors.
Result<void> check_description(ModelDescription const& model);

// Bytes of the tables of MSI-X (PCI 3.0, 6.8.2).
[[nodiscard]] constexpr std::uint64_t msix_table_bytes(MsixTables const& tables) { return tables.vectors * std::uint64_t{16}; }
[[nodiscard]] constexpr std::uint64_t msix_pending_bytes(MsixTables const& tables) {
  return (tables.vectors + std::uint64_t{63}) / 64 * 8;
}

}  // namespace swiommu::vfio
