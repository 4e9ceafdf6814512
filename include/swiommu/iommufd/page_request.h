// What a device says when it wants a page that is not there, and what it is answered (PCIe PRI).
#pragma once
#include <cstdint>
#include <optional>

#include "swiommu/device/device.h"

namespace swiommu::iommufd {

struct PageRequest {
  std::optional<Pasid> pasid;
  std::uint32_t group = 0;  // of the device's own counting; requests of a group are answered together
  bool last = true;         // of its group
  bool read = false, write = false, execute = false, privileged = false;
  std::uint64_t iova = 0;
};

struct PageResponse {
  enum class Code : std::uint8_t { success, invalid };
  std::optional<Pasid> pasid;
  std::uint32_t group = 0;
  Code code = Code::success;
};

}  // namespace swiommu::iommufd
